"""Weights by how many examples a class has, beside other libraries' and hand-worked values."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from strategies_by_hand import one_hot, planned, training_set
from torch.nn import BCEWithLogitsLoss
from torch.nn.functional import binary_cross_entropy_with_logits

from imbpipe.errors import UsageError

CLASSES = np.repeat([0, 1, 2], [64, 16, 4])
LONG_TAIL = training_set(one_hot(CLASSES, 3), "single-label")
SEVERAL = training_set([[1, 0, 0]] * 5 + [[1, 1, 0]] * 2 + [[1, 1, 1], [0, 0, 0], [0, 0, 0]])
"""Labels of 8, 3 and 1 of 10 images."""


def weight(name, data, **parameters):
    (phase,) = planned(name, data, **parameters).phases
    return phase.weight


def test_inverse_frequency_is_scikit_learns_balanced_class_weight_up_to_scale():
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=CLASSES)
    ours = weight("inverse-frequency", LONG_TAIL)
    np.testing.assert_allclose(ours, (balanced / balanced.mean())[CLASSES], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "given_", "by_hand"),
    [
        ("inverse-frequency", {}, [1, 4, 16]),
        ("inverse-square-root", {}, [1, 2, 4]),
        ("inverse-frequency", {"power": 0.5}, [1, 2, 4]),
        ("effective-number", {"cb_beta": 0.5}, [0.5, 0.5 / (1 - 2.0**-16), 0.5 / (1 - 2.0**-4)]),
        ("effective-number", {"cb_beta": 0.0}, [1, 1, 1]),
    ],
)
def test_classes_are_weighed_by_their_counts_with_a_mean_of_1(name, given_, by_hand):
    expected = np.array(by_hand) / np.mean(by_hand)
    np.testing.assert_allclose(weight(name, LONG_TAIL, **given_), expected[CLASSES], rtol=1e-6)
    labels = weight(name, LONG_TAIL, per="label", **given_)
    np.testing.assert_allclose(labels, np.broadcast_to(expected, (84, 3)), rtol=1e-6)


def test_the_effective_number_of_few_images_is_their_number_and_of_many_images_1_over_1_minus_beta():
    """Cui et al.: beta 0.99 and 10,000 images make 100 effective ones, and 1 image makes 1."""
    classes = np.repeat([0, 1], [10_000, 1])
    weights = weight("effective-number", training_set(one_hot(classes, 2), "single-label"), cb_beta=0.99)
    assert weights[-1] / weights[0] == pytest.approx(100, rel=1e-4)


def test_an_image_of_several_classes_takes_their_mean_and_one_without_any_takes_1():
    weights = weight("inverse-frequency", SEVERAL, per="image")
    per_class = np.array([1 / 8, 1 / 3, 1]) / np.mean([1 / 8, 1 / 3, 1])
    expected = [per_class[0]] * 5 + [per_class[:2].mean()] * 2 + [per_class.mean(), 1, 1]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_on_multi_label_data_inverse_frequency_is_torchs_pos_weight_of_negatives_over_positives():
    z = torch.tensor(np.random.default_rng(0).normal(size=(10, 3)))
    y = torch.tensor(SEVERAL.labels).double()
    theirs = BCEWithLogitsLoss(pos_weight=torch.tensor([2 / 8, 7 / 3, 9.0]))(z, y)
    factors = torch.tensor(weight("inverse-frequency", SEVERAL)).double()
    ours = binary_cross_entropy_with_logits(z, y, weight=factors)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_positives_and_negatives_are_weighed_by_their_own_effective_numbers():
    weights = weight("effective-number", SEVERAL, cb_beta=0.5)
    expected = (1 - 0.5**2) / (1 - 0.5**8)
    np.testing.assert_allclose(weights[0], [expected, 1, 1], rtol=1e-6)


def test_rebalanced_weights_are_those_worked_by_hand_from_their_paper():
    """An image of the labels of 8 and 3 images: 1/8 + 1/3 = 11/24, so the ratios are 3/11, 8/11, 24/11."""
    weights = weight("rebalanced", SEVERAL, lift=0.1, steepness=10.0, centre=0.2)
    ratios = np.array([3 / 11, 8 / 11, 24 / 11])
    np.testing.assert_allclose(weights[5], 0.1 + 1 / (1 + np.exp(-10 * (ratios - 0.2))), rtol=1e-6)
    np.testing.assert_allclose(weights[9], [0.1 + 1 / (1 + np.exp(-8))] * 3, rtol=1e-6)


def test_up_weighting_a_batch_takes_the_factors_of_up_weighting_an_image_and_pools_them():
    per_image, per_batch = (planned("upweight", LONG_TAIL, per=per).phases[0] for per in ("image", "batch"))
    np.testing.assert_array_equal(per_batch.weight, per_image.weight)
    assert (per_image.weight_per, per_batch.weight_per) == ("row", "batch")


def test_adam_nearly_cancels_a_factor_on_the_whole_batch_and_not_a_factor_on_an_image():
    from imbpipe.heads.bank import train_heads
    from imbpipe.heads.run import HeadConfig, Protocol, Run

    rng = np.random.default_rng(0)
    features = (rng.normal(size=(84, 8)) + 0.3 * LONG_TAIL.labels @ rng.normal(size=(3, 8))).astype("f4")
    plans = [planned("baseline", LONG_TAIL)]
    plans += [planned("upweight", LONG_TAIL, factor=10.0, per=per) for per in ("image", "batch")]
    runs = [Run(np.arange(84), np.arange(0), plan, 0) for plan in plans]
    protocol = Protocol(HeadConfig("linear"), epochs=20, batch_size=16, learning_rate=1e-2)
    scores = {
        run: each
        for bank in train_heads(features, LONG_TAIL.labels, runs, protocol, device="cpu")
        for run, each in zip(bank.runs, bank.scores(features), strict=True)
    }
    moved = [np.abs(scores[run] - scores[0])[:, 2].mean() for run in (1, 2)]
    assert moved[1] < 0.2 * moved[0]


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("inverse-frequency", {"power": -1.0}),
        ("effective-number", {"cb_beta": 1.0}),
        ("effective-number", {"cb_beta": -0.1}),
        ("rebalanced", {"steepness": np.nan}),
        ("rebalanced", {"lift": -0.1}),
    ],
)
def test_a_parameter_out_of_its_range_is_refused(name, given_):
    (parameter,) = given_
    with pytest.raises(UsageError, match=rf"strategy '{name}': {parameter} is .* Choose a number"):
        planned(name, LONG_TAIL, **given_)
