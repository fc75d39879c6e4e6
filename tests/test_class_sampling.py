"""Strategies that draw a class first, and how long their epochs are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies_by_hand import one_hot, planned, training_set
from torch.utils.data import WeightedRandomSampler

from imbpipe.errors import UsageError
from imbpipe.heads.draws import epoch_rows
from imbpipe.strategies.class_sampling import class_shares

LONG_TAIL = training_set(one_hot(np.repeat([0, 1, 2], [64, 16, 4]), 3), "single-label")
RARE_BESIDE_COMMON = training_set([[1, 0]] * 6 + [[1, 1]] * 2 + [[0, 0]] * 2)
multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 6)))


def expected_draws(plan, data, phase=0):
    """(n,) draws of each image an epoch, on average."""
    phase = plan.phases[phase]
    n = len(data.labels)
    count = n if phase.rows is None else len(phase.rows)
    if phase.probability is None:
        return np.bincount(phase.rows, minlength=n)
    return phase.probability / phase.probability.sum() * count


@pytest.mark.parametrize(
    ("power", "by_hand"),
    [(0, [1 / 3, 1 / 3, 1 / 3]), (0.5, [8 / 14, 4 / 14, 2 / 14]), (1, [64 / 84, 16 / 84, 4 / 84])],
)
def test_a_class_is_drawn_by_its_count_to_the_power(power, by_hand):
    plan = planned("square-root", LONG_TAIL, power=power)
    assert plan.phases[0].probability @ LONG_TAIL.labels == pytest.approx(by_hand)


def test_an_image_of_two_classes_is_drawn_for_each_and_images_without_any_are_a_class_of_their_own():
    shares = class_shares(RARE_BESIDE_COMMON.labels, 0)
    common, both, none = 1 / 3 / 8, 1 / 3 / 8 + 1 / 3 / 2, 1 / 3 / 2
    np.testing.assert_allclose(shares, [common] * 6 + [both] * 2 + [none] * 2)


def test_class_aware_sampling_draws_what_torchs_weighted_sampler_draws_with_inverse_counts():
    classes = LONG_TAIL.labels.argmax(axis=1)
    weights = 1 / np.bincount(classes)[classes]
    sampler = WeightedRandomSampler(weights, 30_000, generator=torch.Generator().manual_seed(0))
    theirs = np.bincount(classes[list(sampler)]) / 30_000
    plan = planned("class-aware", LONG_TAIL)
    drawn = np.concatenate([epoch_rows(plan.phases[0], 84, 0, epoch) for epoch in range(400)])
    ours = np.bincount(classes[drawn]) / len(drawn)
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    np.testing.assert_allclose(ours, 1 / 3, atol=0.02)


def test_progressive_sampling_goes_from_the_images_to_the_classes_as_kang_writes_it():
    plan = planned("progressive", LONG_TAIL, stages=4)
    assert [phase.start for phase in plan.phases] == [0, 0.25, 0.5, 0.75]
    counts = np.array([64, 16, 4])
    for phase in plan.phases:
        by_class = (1 - phase.start) * counts / 84 + phase.start / 3
        np.testing.assert_allclose(phase.probability @ LONG_TAIL.labels, by_class)


@given(multi_hot, st.floats(0, 1))
def test_probabilities_reach_every_image_and_sum_to_1(labels, power):
    shares = class_shares(labels, power)
    assert shares.min() > 0
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["square-root", "class-aware", "progressive"])
def test_steps_draw_as_many_rows_as_there_are_images_and_epochs_every_image_once(name):
    for data in (LONG_TAIL, RARE_BESIDE_COMMON):
        for phase in range(len(planned(name, data).phases)):
            steps = expected_draws(planned(name, data, length="steps"), data, phase)
            epochs = expected_draws(planned(name, data, length="epochs"), data, phase)
            assert steps.sum() == pytest.approx(len(data.labels))
            assert 1 - 1e-6 <= epochs.min() < 1.1
            np.testing.assert_allclose(epochs / epochs.sum(), steps / steps.sum())


def test_an_epoch_of_class_aware_sampling_is_the_most_frequent_class_times_the_classes():
    (phase,) = planned("class-aware", LONG_TAIL, length="epochs").phases
    assert len(phase.rows) == 64 * 3


@pytest.mark.parametrize("name", ["undersample", "oversample", "ml-ros", "ml-rus", "lp-ros", "lp-rus"])
def test_by_steps_the_same_rows_are_drawn_in_as_many_steps_as_the_baseline_takes(name):
    epochs = expected_draws(planned(name, LONG_TAIL, 3, length="epochs"), LONG_TAIL)
    steps = expected_draws(planned(name, LONG_TAIL, 3, length="steps"), LONG_TAIL)
    assert epochs.sum() != 84
    assert steps.sum() == pytest.approx(84)
    np.testing.assert_allclose(steps / steps.sum(), epochs / epochs.sum())


@pytest.mark.parametrize(
    ("name", "given_"),
    [("square-root", {"power": -0.5}), ("square-root", {"power": 1.5}), ("progressive", {"stages": 0})],
)
def test_a_parameter_out_of_its_range_is_refused(name, given_):
    (parameter,) = given_
    with pytest.raises(UsageError, match=rf"strategy '{name}': {parameter} is .* Choose a number"):
        planned(name, LONG_TAIL, **given_)
