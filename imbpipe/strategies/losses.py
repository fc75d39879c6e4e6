"""Strategies that change the loss and take no account of how many examples a class has, but by weights."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.strategies.class_weights import (
    Per,
    check_cb_beta,
    class_weights,
    effective_number,
    rebalanced_weights,
)
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES, check_number, require_single_label
from imbpipe.types import TrainingSet


@STRATEGIES.add("softmax")
def softmax(data: TrainingSet, rng: Generator) -> Plan:
    """No handling of imbalance, by cross-entropy of a softmax over classes in place of one sigmoid a class.

    What the other strategies with a softmax (balanced-softmax, ldam) are to be compared with.

    Task: single-label.
    Source: Kang et al. (2020), "Decoupling representation and classifier", section 3.
    """
    require_single_label("softmax", data, "baseline")
    return Plan((Phase(loss="softmax"),))


@STRATEGIES.add("focal")
def focal(data: TrainingSet, rng: Generator, *, gamma: float = 2.0, alpha: float = 0.25) -> Plan:
    """Let an output count less the better it is already, by (1 - p)^gamma of its probability of being right.

    Of one sigmoid a class, on single-label data too, as in the source.

    gamma: exponent of the focal factor, 0 or more; 0 for none.
    alpha: weight of positives, 0 to 1, with 1 - alpha for negatives; -1 for no such weights.

    Source: Lin et al. (2017), "Focal loss for dense object detection", equation 5.
    """
    check_number("focal", "gamma", gamma, 0)
    if alpha != -1:
        check_number("focal", "alpha", alpha, 0, 1)
    return Plan((Phase(loss="focal", parameters={"gamma": gamma, "alpha": alpha}),))


@STRATEGIES.add("class-balanced-focal")
def class_balanced_focal(
    data: TrainingSet, rng: Generator, *, gamma: float = 2.0, cb_beta: float = 0.999, per: Per = "auto"
) -> Plan:
    """Focal loss, with a class weighed by one over its effective number of images.

    Of one sigmoid a class, on single-label data too, as in the source.

    gamma: exponent of the focal factor, 0 or more; 0 for none.
    cb_beta: the base of effective numbers, from 0 (no weighting) to below 1 (inverse frequency).
    per: `image` weighs all outputs of a class's images (the mean over an image's classes), `label` its own
        output on every image, `positive` its own output on its own images, by its positives' weight over
        its negatives'; `auto` is `image` on single-label data and `positive` on multi-label data.

    Source: Cui et al. (2019), "Class-balanced loss based on effective number of samples", section 4.
    """
    check_number("class-balanced-focal", "gamma", gamma, 0)
    check_cb_beta("class-balanced-focal", cb_beta)
    weight = class_weights(data, effective_number(cb_beta), per)
    return Plan((Phase(weight=weight, loss="focal", parameters={"gamma": gamma, "alpha": -1.0}),))


@STRATEGIES.add("asymmetric")
def asymmetric(
    data: TrainingSet, rng: Generator, *, gamma_pos: float = 0.0, gamma_neg: float = 4.0, clip: float = 0.05
) -> Plan:
    """Let easy negatives count less than easy positives, and very easy ones not at all.

    Of one sigmoid a class, on single-label data too.

    gamma_pos: focal exponent of positives, 0 or more.
    gamma_neg: focal exponent of negatives, 0 or more.
    clip: a negative's probability is lowered by this much, to 0 at most; 0 to below 1.

    Source: Ridnik et al. (2021), "Asymmetric loss for multi-label classification", equations 5 to 7.
    """
    check_number("asymmetric", "gamma_pos", gamma_pos, 0)
    check_number("asymmetric", "gamma_neg", gamma_neg, 0)
    check_number("asymmetric", "clip", clip, 0, 0.99)
    parameters = {"gamma_pos": gamma_pos, "gamma_neg": gamma_neg, "clip": clip}
    return Plan((Phase(loss="asymmetric", parameters=parameters),))


@STRATEGIES.add("distribution-balanced")
def distribution_balanced(
    data: TrainingSet,
    rng: Generator,
    *,
    lift: float = 0.1,
    steepness: float = 10.0,
    centre: float = 0.2,
    negative_scale: float = 2.0,
    kappa: float = 0.05,
    gamma: float = 2.0,
) -> Plan:
    """Rebalanced weights, and negatives that stop pushing a logit down once it is low enough.

    Of one sigmoid a class, on single-label data too.

    lift: added to every weight; the source's alpha.
    steepness: of the sigmoid; the source's beta.
    centre: ratio at the sigmoid's middle; the source's mu.
    negative_scale: factor on negatives' logits, above 0, whose loss is divided by it; the source's lambda.
    kappa: how much of a class's log-odds, over `negative_scale`, is added to its logits while training.
    gamma: exponent of the focal factor, 0 or more; 0 for none.

    Source: Wu et al. (2020), "Distribution-balanced loss for multi-label classification in long-tailed
    datasets", and the offsets and focal factor of their code; the defaults are those for COCO-MLT.
    """
    strategy = "distribution-balanced"
    check_number(strategy, "negative_scale", negative_scale, 0.01)
    check_number(strategy, "kappa", kappa, 0)
    check_number(strategy, "gamma", gamma, 0)
    weight = rebalanced_weights(strategy, data.labels, lift, steepness, centre)
    offset = np.float32(kappa / negative_scale) * log_odds(data)
    parameters = {"scale": negative_scale, "gamma": gamma}
    return Plan((Phase(weight=weight, loss="negative-tolerant", parameters=parameters, offset=offset),))


def log_odds(data: TrainingSet) -> NDArray[np.float32]:
    """(c,) float32: log of positives over negatives of each class; none of either counts as one."""
    counts = class_counts(data.labels)
    return np.log(counts.clip(1) / (len(data.labels) - counts).clip(1)).astype(np.float32)
