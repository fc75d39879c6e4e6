"""What happens to heads after training: by hand, by SciPy, by scikit-learn, and within a grid."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.neighbors import NearestCentroid
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import Split
from imbpipe.errors import PlanError, UnknownNameError, UsageError
from imbpipe.evaluation.thresholds import best_thresholds, paper_thresholds
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.heads.bank import Bank, train_heads
from imbpipe.heads.posthoc import finish
from imbpipe.heads.posthoc.finish import finished_heads
from imbpipe.heads.posthoc.step import POSTHOC, Part, Seen, hidden_units, scaled
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.second_stage import class_balanced
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import FeatureSet, TrainingSet

D, C = 6, 4
KINDS = ("mlp", "linear", "cosine")
LOSSES = {"single-label": "softmax", "multi-label": "bce"}
TRAIN, VALIDATION, TEST = np.arange(45), np.arange(45, 90), np.arange(90, 135)
SETTINGS = (
    BASELINE,
    Setting.of("posthoc-logit-adjustment"),
    Setting.of("tau-norm"),
    Setting.of("temperature"),
    Setting.of("thresholds"),
    Setting.of("thresholds", rule="f1"),
    Setting.of("thresholds", rule="paper"),
    Setting.of("crt", second_epochs=2),
    Setting.of("lws"),
    Setting.of("nearest-class-mean"),
    Setting.of("nearest-class-mean", distance="euclidean"),
)


def protocol(kind: Any = "mlp") -> Protocol:
    return Protocol(HeadConfig(kind, 8), epochs=4, batch_size=8, learning_rate=0.02)


def material(task: str) -> tuple[np.ndarray, np.ndarray]:
    """(135, D) and (135, C): three parts alike, of 30, 12, 2 and 1 images of the classes.

    On multi-label data three images also have the first class, and three have none.
    """
    rng = np.random.default_rng(0)
    labels = np.repeat(np.eye(C, dtype=bool), (30, 12, 2, 1), axis=0)
    if task == "multi-label":
        labels[30:33, 0], labels[:3] = True, False
    labels = np.tile(labels, (3, 1))
    features = 1.5 * labels @ rng.normal(size=(C, D)) + rng.normal(size=(135, D))
    return features.astype(np.float32), labels


def seen(task: str, kind: Any = "mlp") -> Seen:
    features, labels = material(task)
    parts = [Part(features[rows], labels[rows]) for rows in (TRAIN, VALIDATION)]
    return Seen(*parts, protocol(kind), (3, 4))


def trained(task: str, kind: Any = "mlp") -> Bank:
    """Heads of seeds 3 and 4."""
    plan = Plan((Phase(loss=LOSSES[task]),))
    runs = [Run(TRAIN, VALIDATION, plan, seed) for seed in (3, 4)]
    one, other = sorted(train_heads(*material(task), runs, protocol(kind)), key=lambda bank: bank.runs)
    joined = {name: np.concatenate([one.parameters[name], other.parameters[name]]) for name in one.parameters}
    return Bank((0, 1), joined, np.repeat(one.softmax, 2))


def units_of(heads: Bank, head: int, what: Seen) -> list[np.ndarray]:
    """Of the training and of the validation images."""
    return [hidden_units(heads, head, part.features) for part in (what.training, what.validation)]


def by_hand(weight: list, bias: list, softmax: bool) -> Bank:
    parameters = {
        "output.weight": np.array([weight], np.float32),
        "output.bias": np.array([bias], np.float32),
    }
    return Bank((0,), parameters, np.array([softmax]))


def only_labels(labels: list) -> Seen:
    part = Part(np.zeros((len(labels), 1), np.float32), np.array(labels, bool))
    return Seen(part, part, protocol(), (0,))


def bias_after(name: str, bank: Bank, what: Seen, **parameters: Any) -> np.ndarray:
    return POSTHOC[name](bank, what, **parameters).parameters["output.bias"][0]


def test_logit_adjustment_takes_off_the_log_prior_of_a_softmax_and_the_log_odds_of_a_sigmoid():
    labels = [[1, 0], [1, 0], [1, 0], [0, 1]]
    soft, hard = (by_hand([[1.0], [2.0]], [0.5, -0.5], softmax) for softmax in (True, False))
    wanted = [0.5 - 2 * np.log(3 / 4), -0.5 - 2 * np.log(1 / 4)]
    assert bias_after("logit-adjustment", soft, only_labels(labels), tau=2.0) == pytest.approx(wanted)
    wanted = [0.5 - 2 * np.log(3), -0.5 + 2 * np.log(3)]
    assert bias_after("logit-adjustment", hard, only_labels(labels), tau=2.0) == pytest.approx(wanted)


def test_logit_adjustment_counts_a_class_of_no_image_as_half_an_image_and_of_all_as_all_but_half():
    head = by_hand([[0.0], [0.0]], [0.0, 0.0], False)
    adjusted = bias_after("logit-adjustment", head, only_labels([[1, 0]] * 4), tau=1.0)
    assert adjusted == pytest.approx([-np.log(7), np.log(7)])


def test_tau_norm_divides_weights_by_their_length_to_the_power_tau():
    weight, bias = [[3.0, 4.0], [0.0, 2.0]], [10.0, 4.0]
    soft = POSTHOC["tau-norm"](by_hand(weight, bias, True), seen("single-label"), tau=0.5).parameters
    np.testing.assert_allclose(soft["output.weight"][0], [[3 / 5**0.5, 4 / 5**0.5], [0, 2**0.5]], rtol=1e-6)
    assert soft["output.bias"][0].tolist() == [0, 0]
    hard = POSTHOC["tau-norm"](by_hand(weight, bias, False), seen("multi-label"), tau=1.0).parameters
    np.testing.assert_allclose(hard["output.weight"][0], [[0.6, 0.8], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(hard["output.bias"][0], [2, 2], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", LOSSES)
def test_the_temperature_is_the_one_that_scipy_finds_on_the_validation_images(task, kind):
    hot, what = scaled(trained(task, kind), np.full((2, 1), 9.0)), seen(task, kind)
    cooled = POSTHOC["temperature"](hot, what)
    y = torch.tensor(what.validation.labels).double()
    loss = cross_entropy if task == "single-label" else binary_cross_entropy_with_logits
    before, after = (torch.tensor(b.logits(what.validation.features)).double() for b in (hot, cooled))
    for z, z_after in zip(before, after, strict=True):
        best = minimize_scalar(lambda log: float(loss(z / np.exp(log), y)), bounds=(-5, 5))  # noqa: B023
        assert best.x > 0.5, "there was something to cool"
        np.testing.assert_allclose(z_after, z / np.exp(best.x), rtol=1e-3, atol=1e-3)


def test_a_temperature_without_validation_images_is_refused():
    what = seen("multi-label")
    nothing = replace(what, validation=Part(np.zeros((0, D), np.float32), np.zeros((0, C), bool)))
    with pytest.raises(PlanError, match="without a validation image"):
        POSTHOC["temperature"](trained("multi-label"), nothing)


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_the_nearest_class_mean_is_that_of_scikit_learn_on_the_hidden_units(kind):
    heads, what = trained("single-label", kind), seen("single-label", kind)
    done = POSTHOC["class-means"](heads, what, distance="euclidean", softmax=True)
    scores = done.scores(what.validation.features)
    for head in range(2):
        units, others = units_of(heads, head, what)
        reference = NearestCentroid().fit(units, what.training.labels.argmax(1))
        np.testing.assert_array_equal(scores[head].argmax(1), reference.predict(others))
    np.testing.assert_allclose(scores.sum(2), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_on_multi_label_data_a_class_s_mean_stands_against_that_of_all_other_images(kind):
    heads, what = trained("multi-label", kind), seen("multi-label", kind)
    done = POSTHOC["class-means"](heads, what, distance="euclidean", softmax=False)
    scores = done.scores(what.validation.features)
    for head in range(2):
        units, others = units_of(heads, head, what)
        for column in range(C):
            reference = NearestCentroid().fit(units, what.training.labels[:, column])
            np.testing.assert_array_equal(scores[head, :, column] > 0.5, reference.predict(others))


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_class_mean_by_cosine_is_10_times_the_cosine_with_the_mean_of_unit_vectors(kind):
    heads, what = trained("single-label", kind), seen("single-label", kind)
    done = POSTHOC["class-means"](heads, what, distance="cosine", softmax=True)
    for head in range(2):
        units, others = units_of(heads, head, what)
        units, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (units, others))
        means = np.stack([units[what.training.labels[:, column]].mean(0) for column in range(C)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        logits = done.logits(what.validation.features)[head]
        np.testing.assert_allclose(logits, 10 * others @ means.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", LOSSES)
def test_classifier_re_training_is_training_a_linear_head_on_the_frozen_hidden_units(task, kind):
    heads, what = trained(task, kind), seen(task, kind)
    phase = Phase(rows=TRAIN, probability=class_balanced(what.training.labels), loss=LOSSES[task])
    done = POSTHOC["retrain-classifier"](heads, what, phase=phase, epochs=3)
    for name in heads.parameters:
        if name.startswith("hidden"):
            assert done.parameters[name].tobytes() == heads.parameters[name].tobytes()
    second = replace(protocol("linear" if kind == "mlp" else kind), epochs=3)
    for head, seed in enumerate(what.seeds):
        units = hidden_units(heads, head, what.training.features)
        run = Run(TRAIN, TRAIN, Plan((phase,)), seed)
        [bank] = train_heads(units, what.training.labels, [run], second)
        for name, value in bank.parameters.items():
            np.testing.assert_array_equal(done.parameters[name][head], value[0], err_msg=name)
            assert not np.array_equal(done.parameters[name][head], heads.parameters[name][head])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", LOSSES)
def test_learned_scales_multiply_each_class_s_logit_and_have_the_least_class_balanced_loss(task, kind):
    heads, what = trained(task, kind), seen(task, kind)
    probability = class_balanced(what.training.labels)
    done = POSTHOC["class-scales"](heads, what, probability=probability)
    before, after = (bank.logits(what.validation.features) for bank in (heads, done))
    factors = np.median(after / before, axis=1)
    np.testing.assert_allclose(after, before * factors[:, None], rtol=1e-3, atol=1e-4)
    y = torch.tensor(what.training.labels).double()
    for head in range(2):
        z = torch.tensor(heads.logits(what.training.features)[head]).double()
        scale = torch.tensor(factors[head]).double().requires_grad_()
        if task == "single-label":
            each = cross_entropy(z * scale, y, reduction="none")
        else:
            each = binary_cross_entropy_with_logits(z * scale, y, reduction="none").sum(1)
        (each @ torch.tensor(probability)).backward()
        inside = (factors[head] > 0.1001) & (factors[head] < 9.999)
        assert inside.any()
        assert scale.grad.numpy()[inside] == pytest.approx(0, abs=1e-3)
        assert (scale.grad.numpy()[factors[head] >= 9.999] < 1e-9).all(), "still falling at the bound"
        assert (scale.grad.numpy()[factors[head] <= 0.1001] > -1e-9).all()


def test_class_balanced_draws_take_every_class_equally_often_and_its_images_equally_often():
    labels = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0]], bool)
    probability = class_balanced(labels)
    assert probability == pytest.approx([1 / 8, 1 / 8, 1 / 8, 1 / 4, 0, 1 / 8 + 1 / 4])
    with pytest.raises(PlanError, match="no training image has a class"):
        class_balanced(np.zeros((3, 2), bool))


def grid_of(task: str, kind: Any, settings: tuple[Setting, ...] = SETTINGS, test_shift: float = 0) -> Grid:
    features, labels = material(task)
    features[TEST] += np.float32(test_shift)
    ids = tuple(map(str, range(len(labels))))
    names = tuple("abcd")
    dataset = Dataset("tiny", ids, tuple(map(Path, ids)), labels, names, task)
    source = FeatureSet(features, ids, labels, names, task, "tiny", "eye", {"weights": "random"}, "x", {})
    split = Split("by hand", TRAIN, VALIDATION, TEST)
    return Grid(Material(features, dataset, source, ()), split, settings, (0, 1), protocol(kind))


def kept(grid: Grid, folder: Path) -> dict[Setting, Any]:
    """Scores of seed 0 by setting."""
    store = ResultStore(folder)
    grid.train(store)
    return {setting: store.scores("tiny", "eye", grid.keys[setting, 0]) for setting in grid.settings}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", LOSSES)
def test_every_step_works_on_rare_classes_and_sees_nothing_of_the_test_images(task, kind, tmp_path):
    scores = kept(grid_of(task, kind), tmp_path / "one")
    moved = kept(grid_of(task, kind, test_shift=3), tmp_path / "other")
    for setting in SETTINGS:
        assert np.isfinite(scores[setting].test).all(), setting
        np.testing.assert_array_equal(
            scores[setting].validation, moved[setting].validation, err_msg=str(setting)
        )
        assert not np.array_equal(scores[setting].test, moved[setting].test)


def test_the_kept_scores_are_those_after_the_step(tmp_path):
    settings = (BASELINE, Setting.of("posthoc-logit-adjustment", tau=2))
    baseline, adjusted = kept(grid_of("multi-label", "mlp", settings), tmp_path).values()
    share = material("multi-label")[1][TRAIN].mean(0)
    for before, after in ((baseline.validation, adjusted.validation), (baseline.test, adjusted.test)):
        logits = np.log(before / (1 - before)) - 2 * np.log(share / (1 - share))
        np.testing.assert_allclose(after, expit(logits), atol=5e-3)


def spy(trained):
    """`train_heads` that tells how many heads it is asked for."""

    def train(features, labels, runs, protocol, **how):
        trained.append(len(runs))
        return train_heads(features, labels, runs, protocol, **how)

    return train


def test_heads_that_differ_after_training_only_are_trained_once_and_are_the_same_as_alone(
    tmp_path, monkeypatch
):
    trained, counts = [], []
    monkeypatch.setattr(finish, "train_heads", spy(trained))
    grid = grid_of("multi-label", "mlp")
    assert grid.train(ResultStore(tmp_path / "all"), progress=lambda *heads: counts.append(heads)) == 22
    assert trained == [2], "one a seed"
    assert counts[-1] == (22, 22)
    for setting in SETTINGS:
        alone = replace(grid, settings=(setting,))
        [one, _] = kept(alone, tmp_path / "alone"), None
        together = ResultStore(tmp_path / "all").scores("tiny", "eye", grid.keys[setting, 0])
        np.testing.assert_array_equal(one[setting].test, together.test, err_msg=str(setting))


def test_thresholds_follow_the_rule_of_the_plan_and_come_from_validation_images(tmp_path):
    grid, store = grid_of("multi-label", "mlp"), ResultStore(tmp_path)
    grid.train(store)
    baseline = store.scores("tiny", "eye", grid.keys[BASELINE, 0])
    labels, scores = baseline.validation_labels, baseline.validation[None]
    wanted = {
        BASELINE: best_thresholds(labels, scores, beta=2)[0],
        Setting.of("thresholds"): np.full(C, 0.5),
        Setting.of("thresholds", rule="f1"): best_thresholds(labels, scores, beta=1)[0],
        Setting.of("thresholds", rule="paper"): paper_thresholds(labels, scores)[0],
    }
    for setting, thresholds in wanted.items():
        table = store.load("tiny", "eye", [grid.keys[setting, 0]])
        np.testing.assert_array_equal(table["threshold"], thresholds, err_msg=str(setting))


def test_a_step_that_there_is_not_is_refused_before_any_training():
    run = Run(TRAIN, VALIDATION, Plan(posthoc=(("tau-nrom", {"tau": 1.0}),)), 0)
    with pytest.raises(UnknownNameError, match="Did you mean 'tau-norm'"):
        next(
            finished_heads(
                *material("multi-label"), [run], protocol(), progress=lambda *_: pytest.fail("trained")
            )
        )


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("posthoc-logit-adjustment", {"tau": float("nan")}),
        ("tau-norm", {"tau": -1.0}),
        ("thresholds", {"at": 1.5}),
        ("crt", {"second_epochs": 0}),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_named(strategy, parameters):
    features, labels = material("multi-label")
    data = TrainingSet(features, labels, tuple("abcd"), "multi-label")
    [name] = parameters
    with pytest.raises(UsageError, match=f"{strategy!r}: {name} is"):
        STRATEGIES[strategy](data, np.random.default_rng(0), **parameters)
