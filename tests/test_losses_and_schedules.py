"""Losses, offsets, margins and schedules, beside other libraries' and hand-worked values.

The slopes of the losses themselves are tested in test_heads_losses.py.
"""

import numpy as np
import pytest
import torch
from heads_by_hand import VALUES
from strategies_by_hand import one_hot, planned, training_set
from timm.loss import AsymmetricLossMultiLabel
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.ops import sigmoid_focal_loss

from imbpipe.errors import UsageError
from imbpipe.heads.losses import LOSSES
from imbpipe.strategies.class_sampling import class_shares

CLASSES = np.repeat([0, 1, 2], [81, 16, 1])
LONG_TAIL = training_set(one_hot(CLASSES, 3), "single-label")
SEVERAL = training_set([[1, 0, 0]] * 5 + [[1, 1, 0]] * 2 + [[1, 1, 1], [0, 0, 0], [0, 0, 0]])
"""Labels of 8, 3 and 1 of 10 images."""


def logits(data):
    return torch.tensor(np.random.default_rng(0).normal(size=data.labels.shape))


def loss(name, data, z, phase=-1, **parameters):
    """The mean over images of what the engine would minimise, over the whole set as one batch."""
    phase = planned(name, data, **parameters).phases[phase]
    z = z if phase.offset is None else z + torch.tensor(phase.offset)
    given_ = {**LOSSES[phase.loss].defaults, **phase.parameters}
    value = VALUES[phase.loss](z, torch.tensor(data.labels).double(), **given_)
    weight = np.ones(len(z)) if phase.weight is None else phase.weight
    value = value * torch.tensor(weight).reshape(len(z), -1)
    return value.sum() / len(z) if LOSSES[phase.loss].link == "softmax" else value.mean()


def test_focal_is_torchvisions():
    z, y = logits(SEVERAL), torch.tensor(SEVERAL.labels).double()
    theirs = sigmoid_focal_loss(z, y, alpha=0.3, gamma=1.5, reduction="mean")
    torch.testing.assert_close(loss("focal", SEVERAL, z, gamma=1.5, alpha=0.3), theirs)


def test_asymmetric_is_timms_at_the_values_of_its_paper():
    z, y = logits(SEVERAL), torch.tensor(SEVERAL.labels).double()
    theirs = AsymmetricLossMultiLabel(gamma_neg=4, gamma_pos=0, clip=0.05)(z, y)  # summed over classes
    assert float(loss("asymmetric", SEVERAL, z)) * 3 == pytest.approx(float(theirs), rel=1e-5)


def test_class_balanced_focal_is_torchvisions_focal_weighed_as_cui_writes_it():
    z, y = logits(LONG_TAIL), torch.tensor(LONG_TAIL.labels).double()
    each = sigmoid_focal_loss(z, y, alpha=-1, gamma=0.5).sum(1)
    weights = (1 - 0.9) / (1 - 0.9 ** np.array([81, 16, 1]))
    weights *= 3 / weights.sum()
    theirs = (torch.tensor(weights[CLASSES]) * each).mean()
    ours = loss("class-balanced-focal", LONG_TAIL, z, gamma=0.5, cb_beta=0.9)
    torch.testing.assert_close(ours * 3, theirs, rtol=1e-6, atol=0)


def test_balanced_softmax_is_cross_entropy_with_counts_in_the_softmax():
    z, y = logits(LONG_TAIL), torch.tensor(CLASSES)
    counted = torch.tensor([81.0, 16.0, 1.0]) * z.exp()
    theirs = -(counted[range(len(y)), y] / counted.sum(1)).log().mean()
    torch.testing.assert_close(loss("balanced-softmax", LONG_TAIL, z), theirs, rtol=1e-6, atol=0)
    adjusted = loss("logit-adjusted-loss", LONG_TAIL, z, tau=1.0)
    torch.testing.assert_close(adjusted, theirs, rtol=1e-6, atol=0)


def test_the_adjustment_grows_with_tau():
    z, y = logits(LONG_TAIL), torch.tensor(CLASSES)
    theirs = cross_entropy(z + 2 * torch.tensor([81 / 98, 16 / 98, 1 / 98]).log(), y)
    ours = loss("logit-adjusted-loss", LONG_TAIL, z, tau=2.0)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_a_balanced_sigmoid_trained_on_the_frequencies_alone_ends_up_level():
    """A constant head fits logit + offset = log-odds; so every class's logit is 0 on multi-label data, and
    a probability of 1/c on single-label data."""
    for data, level in ((SEVERAL, 1 / 2), (LONG_TAIL, 1 / 3)):
        offset = planned("balanced-sigmoid", data).phases[0].offset
        share = data.labels.mean(axis=0)
        fitted = np.log(share / (1 - share)) - offset
        np.testing.assert_allclose(1 / (1 + np.exp(-fitted)), level, rtol=1e-5)


def test_the_adjusted_loss_of_several_labels_is_binary_cross_entropy_with_log_odds_added():
    z, y = logits(SEVERAL), torch.tensor(SEVERAL.labels).double()
    theirs = binary_cross_entropy_with_logits(z + torch.tensor([8 / 2, 3 / 7, 1 / 9]).log(), y)
    torch.testing.assert_close(loss("logit-adjusted-loss", SEVERAL, z), theirs, rtol=1e-6, atol=0)
    torch.testing.assert_close(loss("balanced-sigmoid", SEVERAL, z), theirs, rtol=1e-6, atol=0)


def test_margins_of_ldam_fall_with_the_fourth_root_of_the_count_from_the_largest():
    (phase,) = planned("ldam", LONG_TAIL, max_margin=0.6).phases
    np.testing.assert_allclose(phase.parameters["margin"], [0.6 / 3, 0.6 / 2, 0.6])


def test_ldam_drw_weighs_classes_in_the_last_fifth_of_training_only():
    first, late = planned("ldam-drw", LONG_TAIL).phases
    assert (first.start, late.start) == (0, 0.8)
    assert first.weight is None
    weights = 1 / (1 - 0.9999 ** np.array([81, 16, 1]))
    np.testing.assert_allclose(late.weight, (weights * 3 / weights.sum())[CLASSES], rtol=1e-5)
    assert first.loss == late.loss == "ldam"


def test_the_distribution_balanced_loss_is_the_formula_of_its_paper_on_one_image():
    """Wu et al., with the focal factor of their code, written out for the image of labels 1, 2."""
    row, scale, kappa = 5, 2.0, 0.05
    z = logits(SEVERAL)
    counts, y = np.array([8, 3, 1]), np.array([1, 1, 0])
    ratio = (1 / counts) / (1 / 8 + 1 / 3)
    weights = 0.1 + 1 / (1 + np.exp(-10 * (ratio - 0.2)))
    moved = z[row].numpy() - kappa / scale * np.log(10 / counts - 1)
    value = 0.0
    for logit, label, weight in zip(moved, y, weights, strict=True):
        t = -logit if label else scale * logit
        value += weight * (1 / (1 if label else scale)) * (1 / (1 + np.exp(-t))) ** 2 * np.log1p(np.exp(t))
    phase = planned("distribution-balanced", SEVERAL).phases[0]
    each = VALUES[phase.loss](
        z[[row]] + torch.tensor(phase.offset), torch.tensor(y[None]).double(), **phase.parameters
    )
    assert float((each[0] * torch.tensor(phase.weight[row])).sum()) == pytest.approx(value, rel=1e-5)


def test_deferred_reweighting_and_resampling_train_plainly_first():
    for data in (LONG_TAIL, SEVERAL):
        first, late = planned("deferred-reweight", data, start=0.5).phases
        assert (first.weight, late.start) == (None, 0.5)
        (weighed,) = planned("effective-number", data, cb_beta=0.9999).phases
        np.testing.assert_array_equal(late.weight, weighed.weight)
        first, late = planned("deferred-resample", data).phases
        assert (first.probability, late.start) == (None, 0.8)
        np.testing.assert_array_equal(late.probability, class_shares(data.labels, 0))


@pytest.mark.parametrize("name", ["softmax", "balanced-softmax", "ldam", "ldam-drw"])
def test_a_softmax_refuses_several_labels_an_image_and_names_what_takes_them(name):
    message = rf"strategy '{name}' is for single-label data: .* For several labels an image: \w+"
    with pytest.raises(UsageError, match=message):
        planned(name, SEVERAL)


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("focal", {"gamma": -1.0}),
        ("focal", {"alpha": 1.5}),
        ("class-balanced-focal", {"gamma": np.inf}),
        ("asymmetric", {"clip": 1.0}),
        ("asymmetric", {"gamma_neg": -1.0}),
        ("distribution-balanced", {"negative_scale": 0.0}),
        ("distribution-balanced", {"kappa": -1.0}),
        ("logit-adjusted-loss", {"tau": -1.0}),
        ("ldam", {"scale": 0.0}),
        ("ldam", {"max_margin": -0.5}),
        ("ldam-drw", {"start": 1.0}),
        ("deferred-reweight", {"start": 0.0}),
        ("deferred-resample", {"start": 1.0}),
    ],
)
def test_a_parameter_out_of_its_range_is_refused(name, given_):
    (parameter,) = given_
    with pytest.raises(UsageError, match=rf"strategy '{name}': {parameter} is .* Choose a number"):
        planned(name, LONG_TAIL, **given_)
