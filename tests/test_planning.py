"""What is checked, planned and kept before and while runs are trained."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_by_hand import CLASSES, made

from imbpipe.datasets.splits import make_split
from imbpipe.errors import PlanError, StoreError
from imbpipe.experiments import training
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.heads.run import HeadConfig, Protocol
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import FeatureSet, TrainingSet

QUICK = Protocol(HeadConfig(hidden=4), epochs=2)


def material(n=200, bad=None):
    features, dataset = made(n, 6)
    if bad is not None:
        features[17, 3] = bad
    source = FeatureSet(
        features,
        dataset.ids,
        dataset.labels,
        CLASSES,
        "multi-label",
        "made",
        "eye",
        {"weights": "random"},
        "",
        {},
    )
    return Material(features, dataset, source, ())


def grid(settings, seeds=(0, 1, 2)):
    ground = material()
    return Grid(ground, make_split(ground.dataset, 0), tuple(settings), seeds, QUICK)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_by_its_image_before_any_strategy_sees_it(value):
    with pytest.raises(
        StoreError, match=rf"'image000017' \(row 17\) are not finite: {value} in dimension 3\. Remove"
    ):
        material(bad=value)


def test_plans_that_are_large_are_made_a_few_seeds_at_a_time_and_give_the_same_results(tmp_path, monkeypatch):
    settings = (BASELINE, Setting.of("noise"), Setting.of("mixup"))
    at_once, few = ResultStore(tmp_path / "at once"), ResultStore(tmp_path / "few")
    grid(settings).train(at_once)
    alive = []
    trained = training._train

    def watched(planned, store, device):
        alive.append(len(planned))
        yield from trained(planned, store, device)

    monkeypatch.setattr(training, "_train", watched)
    monkeypatch.setattr(training, "PLANS", 0)
    assert grid(settings).train(few) == 9
    assert alive == [3, 3, 3]
    assert grid(settings).results(few).equals(grid(settings).results(at_once))


def test_after_training_a_grid_holds_no_copy_of_its_training_features(tmp_path):
    trained = grid((BASELINE,))
    trained.train(ResultStore(tmp_path))
    assert "training_set" not in vars(trained)


@pytest.mark.parametrize(
    ("setting", "epochs"), [(Setting.of("progressive"), 10), (Setting.of("deferred-reweight"), 5)]
)
def test_a_schedule_that_is_too_fine_for_the_epochs_says_how_many_would_do(setting, epochs, tmp_path):
    said = rf"no epoch of 2 trains .* Train for {epochs} epochs \(--epochs {epochs}\)"
    with pytest.raises(PlanError, match=said):
        grid((setting,)).train(ResultStore(tmp_path))
    enough = replace(grid((setting,), (0,)), protocol=replace(QUICK, epochs=epochs))
    assert enough.train(ResultStore(tmp_path)) == 1


@pytest.mark.parametrize("strategy", ["herding", "k-center", "semdedup"])
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.sampled_from(["single-label", "multi-label"]))
@settings(max_examples=8)
def test_a_selection_is_the_same_whatever_was_selected_before_on_the_same_images(strategy, thresholds, task):
    features, dataset = made(90, 6, task=task)

    def rows(data, threshold):
        return STRATEGIES[strategy](data, np.random.default_rng(0), threshold=threshold).phases[0].rows

    def fresh():
        return TrainingSet(features, dataset.labels, CLASSES, task)

    shared = fresh()
    for threshold in thresholds:
        np.testing.assert_array_equal(rows(shared, threshold), rows(fresh(), threshold))
