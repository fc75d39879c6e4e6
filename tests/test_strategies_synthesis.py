"""Synthesis: the rows that strategies make, against imbalanced-learn, scikit-learn and hand-worked values."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from embedded_sets import random_set, training_set
from imblearn.over_sampling import SMOTE
from scipy.optimize import lsq_linear
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from imbpipe.errors import PlanError, UsageError
from imbpipe.heads.bank import train_heads
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.strategies.synthesis import made as made_module
from imbpipe.strategies.synthesis.distill import bounded_labels, kernel_of, normal_equations
from imbpipe.strategies.synthesis.mlsmote import minority_labels

MAKING = ["smote", "mlsmote", "mixup", "balanced-mixup", "noise", "distill"]


def planned(name, data, seed=0, **parameters):
    plan = STRATEGIES[name](data, np.random.default_rng(seed), **parameters)
    plan.check(*data.labels.shape)
    if plan.synthetic is not None:
        assert plan.synthetic.features.dtype == plan.synthetic.labels.dtype == np.float32
        assert 0 <= plan.synthetic.labels.min() <= plan.synthetic.labels.max() <= 1
    return plan


def epoch(data, plan):
    """What one epoch trains on: (m, d) features and (m, c) labels."""
    features = np.concatenate([data.features, plan.synthetic.features])
    labels = np.concatenate([data.labels, plan.synthetic.labels])
    return features[plan.phases[0].rows], labels[plan.phases[0].rows]


def fractions(points, starts, ends):
    """Where each point lies from start (0) to end (1); NaN where it lies off that line."""
    way = ends - starts
    share = ((points - starts) * way).sum(1) / (way**2).sum(1)
    off = np.abs(starts + share[:, None] * way - points).max(1)
    return np.where(off < 1e-4, share, np.nan)


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("name", MAKING)
def test_a_head_trains_on_made_rows_and_the_same_seed_makes_the_same(name, task):
    if (name, task) == ("smote", "multi-label"):
        return
    data = random_set(task, (30, 9, 2, 1))
    plan, again, other = (planned(name, data, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(plan.synthetic.features, again.synthetic.features)
    np.testing.assert_array_equal(plan.phases[0].rows, again.phases[0].rows)
    assert not np.array_equal(plan.synthetic.features, other.synthetic.features)
    run = Run(np.arange(len(data.labels)), np.arange(0), plan, 0)
    (bank,) = train_heads(data.features, data.labels, [run], Protocol(epochs=1), device="cpu")
    assert np.isfinite(bank.logits(data.features)).all()


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("name", MAKING)
def test_one_image_alone_gives_a_plan(name, task):
    data = training_set(np.ones((1, 3)), [[False, True]], task)
    if (name, task) == ("smote", "multi-label"):
        with pytest.raises(PlanError):
            planned(name, data)
    else:
        planned(name, data)


def test_smote_makes_as_many_of_each_class_as_imbalanced_learn():
    data = random_set("single-label", (30, 12, 9, 0))
    _, labels = epoch(data, planned("smote", data))
    _, wanted = SMOTE(random_state=0).fit_resample(data.features, data.labels.argmax(1))
    np.testing.assert_array_equal(labels.sum(0)[:3], np.bincount(wanted))
    assert labels.sum(0)[3] == 0


def test_smote_makes_points_between_an_image_and_a_near_one_of_its_class():
    data = random_set("single-label", (40, 12))
    own = data.features[data.labels[:, 1]].astype(np.float64)
    near = NearestNeighbors(n_neighbors=2).fit(own).kneighbors(return_distance=False)
    starts, ends = np.repeat(own, 2, 0), own[near.ravel()]
    made = planned("smote", data, neighbours=2).synthetic
    assert made.labels.tolist() == [[0, 1]] * 28
    for point in made.features:
        share = fractions(np.broadcast_to(point, starts.shape), starts, ends)
        assert ((share >= -1e-4) & (share <= 1 + 1e-4)).any()


def test_smote_of_a_class_of_two_lies_between_them_and_of_one_repeats_it():
    data = training_set(
        [[0, 0], [0, 1], [1, 0], [1, 1], [10, 0], [20, 5], [7, 7]], np.eye(3)[[0, 0, 0, 0, 1, 1, 2]]
    )
    features, labels = epoch(data, planned("smote", data, neighbours=5))
    assert labels.sum(0).tolist() == [4, 4, 4]
    two = features[labels[:, 1] == 1].astype(np.float64)
    share = fractions(two, np.array([[10.0, 0.0]] * 4), np.array([[20.0, 5.0]] * 4))
    assert ((share >= 0) & (share <= 1)).all()
    assert len(set(share.round(6))) == 4
    assert (features[labels[:, 2] == 1] == 7).all()


def test_smote_to_a_threshold_leaves_larger_classes_as_they_are():
    data = random_set("single-label", (30, 9, 2, 1))
    assert epoch(data, planned("smote", data, threshold=15))[1].sum(0).tolist() == [30, 15, 15, 15]


def test_smote_refuses_several_labels_and_a_class_alone_by_name():
    with pytest.raises(
        PlanError, match=r"strategy 'smote' makes points within one class.*Use the strategy mlsmote"
    ):
        planned("smote", random_set("multi-label"))
    with pytest.raises(PlanError, match=r"strategy 'smote': every training row is of class 'class 0'"):
        planned("smote", random_set("single-label", (9, 0)), threshold=20)


@pytest.mark.parametrize("name", ["smote", "noise"])
def test_where_more_draws_are_missing_than_rows_are_made_each_made_row_repeats_as_often(name, monkeypatch):
    monkeypatch.setattr(made_module, "MOST", 20)
    data = random_set("single-label", (60, 20, 10, 1, 0))
    plan = planned(name, data)
    assert len(plan.synthetic.labels) <= 20
    assert epoch(data, plan)[1].sum(0).tolist() == [60, 60, 60, 60, 0]
    times = np.bincount(plan.phases[0].rows)[len(data.labels) :]
    for column in plan.synthetic.labels.T[1:4].astype(bool):
        assert np.ptp(times[column]) <= 1


def test_minority_labels_are_those_above_the_mean_imbalance_ratio():
    """Counts 8, 4, 1, 0: ratios 1, 2, 8 with the mean 11/3; a label that no image has counts for nothing."""
    labels = np.zeros((8, 4), bool)
    for column, count in enumerate([8, 4, 1]):
        labels[:count, column] = True
    assert minority_labels(labels).tolist() == [False, False, True, False]


def test_mlsmote_makes_one_row_for_each_image_of_a_minority_label_within_the_box_to_a_neighbour():
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 3), bool)
    labels[:, 0] = True
    labels[:20, 1], labels[:4, 2] = True, True
    data = training_set(rng.normal(size=(60, 5)), labels, "multi-label")
    plan = planned("mlsmote", data, neighbours=2)
    assert sorted(plan.phases[0].rows.tolist()) == list(range(64))
    assert (plan.synthetic.labels[:, 2] == 1).all()
    own = data.features[:4]
    near = NearestNeighbors(n_neighbors=2).fit(own).kneighbors(return_distance=False)
    for image, made in enumerate(plan.synthetic.features):
        low, high = (side(own[image], own[near[image]]) for side in (np.minimum, np.maximum))
        assert ((made >= low - 1e-6) & (made <= high + 1e-6)).all(1).any()


def test_mlsmote_gives_the_labels_that_at_least_half_of_image_and_neighbours_have():
    """Four images of the rare label 3; label 1 on three of them, label 2 on two, label 0 on one."""
    rare = [[1, 1, 1, 1], [0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    common = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] * 20
    features = np.concatenate([np.eye(4), 50 + np.random.default_rng(0).normal(size=(60, 4))])
    made = planned("mlsmote", training_set(features, rare + common, "multi-label"), neighbours=3).synthetic
    assert made.labels.tolist() == [[0, 1, 1, 1]] * 4


def test_mlsmote_of_balanced_labels_is_the_baseline():
    plan = planned("mlsmote", random_set("multi-label", (1, 1)))
    assert plan.synthetic is None
    assert plan.phases[0].rows is None


def test_mixup_mixes_features_and_labels_by_the_same_share_of_beta():
    n = 4000
    one_hot = np.eye(4, dtype=bool)[np.arange(n) % 4]
    data = training_set(one_hot, one_hot)
    features, labels = epoch(data, planned("mixup", data, mixing=0.5))
    np.testing.assert_allclose(features, labels, atol=1e-6)
    share = labels[np.arange(n), np.arange(n) % 4]
    mixed = share[share < 1 - 1e-6]
    assert labels.sum(1) == pytest.approx(1, abs=1e-5)
    assert np.mean(mixed) == pytest.approx(0.5, abs=0.03)
    assert np.var(mixed) == pytest.approx(0.125, abs=0.015)  # 1 / (4 (2 alpha + 1))
    assert labels.sum(0) == pytest.approx(n / 4, abs=50)


def test_balanced_mixup_adds_every_class_as_often_by_alpha_over_alpha_plus_one():
    counts = np.array([3000, 900, 90, 10])
    labels = np.eye(4, dtype=bool)[np.repeat(np.arange(4), counts)]
    data = training_set(labels, labels)
    _, mixed = epoch(data, planned("balanced-mixup", data, mixing=0.5))
    wanted = counts * 2 / 3 + 4000 / 4 / 3
    np.testing.assert_allclose(mixed.sum(0), wanted, atol=60)


def test_mixtures_of_several_labels_have_a_part_of_each():
    data = training_set([[0.0], [1.0]], [[1, 1, 0], [0, 1, 1]], "multi-label")
    features, labels = epoch(data, planned("mixup", data, 3, mixing=1.0))
    second = features[:, 0]
    np.testing.assert_allclose(labels, np.stack([1 - second, np.ones(2), second], 1), atol=1e-6)


def test_noise_repeats_images_at_the_stated_distance():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 3)) * [1, 10, 0]
    labels = np.eye(2, dtype=bool)[np.r_[np.zeros(3990, int), np.ones(10, int)]]
    data = training_set(features, labels)
    made = planned("noise", data, scale=0.2).synthetic
    assert made.labels.tolist() == [[0, 1]] * 3980
    own = data.features[3990:]
    nearest = own[((made.features[:, None] - own) ** 2 / [1, 100, 1]).sum(2).argmin(1)]
    off = (made.features - nearest).std(0)
    np.testing.assert_allclose(off, [0.2, 2, 0], rtol=0.15)


def test_without_noise_oversampled_images_are_repeated_as_they_are():
    data = random_set("multi-label", (30, 9, 2, 1, 0))
    plan = planned("noise", data, scale=0.0)
    images = {tuple(row) for row in np.concatenate([data.features, data.labels], 1).tolist()}
    made = np.concatenate([plan.synthetic.features, plan.synthetic.labels], 1).tolist()
    assert {tuple(row) for row in made} <= images
    reached = epoch(data, plan)[1].sum(0)
    assert (reached[:4] >= data.labels[:, 0].sum()).all()


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_distilled_labels_are_the_best_that_kernel_ridge_regression_can_be_given(kernel):
    data = random_set("multi-label", (150, 60, 25), seed=2)
    points, ridge = data.features[:18], 1e-2
    function = kernel_of(kernel, data.features)
    own, between = function(points, points), function(data.features, points)
    labels = bounded_labels(*normal_equations(data, points, function, ridge))

    def loss(targets):
        peer = KernelRidge(alpha=ridge * own.trace() / len(own), kernel="precomputed").fit(own, targets)
        return ((peer.predict(between) - data.labels) ** 2).sum()

    hat = between @ np.linalg.inv(own + ridge * own.trace() / len(own) * np.eye(18))
    wanted = np.stack([lsq_linear(hat, truth, (0, 1)).x for truth in data.labels.T], 1)
    assert loss(labels) == pytest.approx(loss(wanted), rel=1e-4)
    assert loss(labels) < loss(data.labels[:18].astype(float))


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_a_head_trained_on_a_few_distilled_points_ranks_all_images_well(task):
    data = random_set(task, (400, 150, 50), seed=4)
    plan = planned("distill", data, points=5)
    assert len(plan.synthetic.labels) == 15
    assert len(plan.phases[0].rows) == 600
    assert plan.phases[0].rows.min() >= 600
    run = Run(np.arange(600), np.arange(0), plan, 0)
    (bank,) = train_heads(data.features, data.labels, [run], Protocol(epochs=20), device="cpu")
    ranked = bank.scores(data.features)[0]
    ap = [average_precision_score(truth, score) for truth, score in zip(data.labels.T, ranked.T, strict=True)]
    assert min(ap) > 0.8


def test_a_class_with_fewer_images_than_points_gives_them_all():
    data = random_set("single-label", (30, 2, 1, 0))
    assert len(planned("distill", data, points=4).synthetic.features) == 7


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("smote", {"threshold": 0}, "strategy 'smote': threshold is 0. It starts at 1"),
        ("smote", {"neighbours": 0}, "strategy 'smote': neighbours is 0"),
        ("mlsmote", {"neighbours": 0}, "strategy 'mlsmote': neighbours is 0"),
        ("mixup", {"mixing": 0.0}, "strategy 'mixup': mixing is 0.0. It is a number above 0"),
        ("balanced-mixup", {"mixing": np.nan}, "strategy 'balanced-mixup': mixing is nan"),
        ("noise", {"scale": -1.0}, "strategy 'noise': scale is -1.0"),
        ("noise", {"threshold": 0}, "strategy 'noise': threshold is 0"),
        ("distill", {"points": 0}, "strategy 'distill': points is 0"),
        ("distill", {"ridge": 0.0}, "strategy 'distill': ridge is 0.0"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused_by_name(name, given, message):
    with pytest.raises(UsageError, match=message):
        planned(name, random_set("single-label"), **given)


SIDE_BY_SIDE = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import torch
from embedded_sets import training_set
from imbpipe.strategies.synthesis.smote import smote
x = np.random.default_rng(0).standard_normal((4000, 512)).astype("f4")
labels = np.eye(2, dtype=bool)[(np.arange(4000) < 2500).astype(int)]
data = training_set(x, labels)
with ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda seed: smote(data, np.random.default_rng(seed)), range(12)))
"""


def test_neighbours_are_searched_side_by_side_without_a_warning_of_openblas() -> None:
    """Which says that the program may hang, if one search lifts the other's limit of threads."""
    done = subprocess.run(
        [sys.executable, "-c", SIDE_BY_SIDE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
