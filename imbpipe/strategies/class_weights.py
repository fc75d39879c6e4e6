"""Strategies that weigh the loss by how many examples a class has."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES, check_number
from imbpipe.types import Labels, TrainingSet

Per = Literal["auto", "image", "label", "positive"]
"""What a class's weight multiplies. `image`: all outputs of its images (an image of several classes takes
their mean, one without any takes 1). `label`: its own output, on every image. `positive`: its own output on
its own images, by the ratio of the weights that the rule gives to its positives and its negatives, as
torch's `pos_weight`. `auto`: `image` on single-label data, `positive` on multi-label data."""

Rule = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Numbers of examples, at least 1, to weights."""


def effective_number(cb_beta: float) -> Rule:
    """One over the effective number of examples. Source: Cui et al. (2019), proposition 1."""
    return lambda count: (1 - cb_beta) / (1 - cb_beta**count)


def class_weights(data: TrainingSet, rule: Rule, per: Per) -> NDArray[np.float32]:
    """(n,) or (n, c) weights; but for `positive` scaled so that those of the classes have the mean 1.

    A class without examples, or without counterexamples, counts as one that has one.
    """
    if per == "auto":
        per = "image" if data.task == "single-label" else "positive"
    n = len(data.labels)
    counts = class_counts(data.labels)
    weights = rule(counts.clip(1).astype(np.float64))
    if per == "positive":
        ratios = weights / rule((n - counts).clip(1).astype(np.float64))
        return np.where(data.labels, ratios, 1).astype(np.float32)
    weights /= weights.mean()
    if per == "label":
        return np.broadcast_to(weights, data.labels.shape).astype(np.float32)
    held = data.labels.sum(axis=1)
    return np.where(held > 0, data.labels @ weights / held.clip(1), 1).astype(np.float32)


@STRATEGIES.add("inverse-frequency")
def inverse_frequency(data: TrainingSet, rng: Generator, *, power: float = 1.0, per: Per = "auto") -> Plan:
    """Weigh a class by one over its number of images.

    power: of that weight, 0 or more; 0.5 is inverse-square-root.
    per: `image` weighs all outputs of a class's images (the mean over an image's classes), `label` its own
        output on every image, `positive` its own output on its own images, by its positives' weight over
        its negatives'; `auto` is `image` on single-label data and `positive` on multi-label data.

    Source: Huang et al. (2016), "Learning deep representation for imbalanced classification"; `positive`
    is the `pos_weight` of torch.nn.BCEWithLogitsLoss.
    """
    check_number("inverse-frequency", "power", power, 0)
    return Plan((Phase(weight=class_weights(data, lambda count: count**-power, per)),))


@STRATEGIES.add("inverse-square-root")
def inverse_square_root(data: TrainingSet, rng: Generator, *, per: Per = "auto") -> Plan:
    """Weigh a class by one over the square root of its number of images.

    per: `image` weighs all outputs of a class's images (the mean over an image's classes), `label` its own
        output on every image, `positive` its own output on its own images, by its positives' weight over
        its negatives'; `auto` is `image` on single-label data and `positive` on multi-label data.

    Source: Mahajan et al. (2018), "Exploring the limits of weakly supervised pretraining".
    """
    return Plan((Phase(weight=class_weights(data, lambda count: count**-0.5, per)),))


@STRATEGIES.add("effective-number")
def effective_number_weights(
    data: TrainingSet, rng: Generator, *, cb_beta: float = 0.999, per: Per = "auto"
) -> Plan:
    """Weigh a class by one over its effective number of images, (1 - beta^count) / (1 - beta).

    cb_beta: the base of effective numbers, from 0 (no weighting) to below 1 (inverse frequency).
    per: `image` weighs all outputs of a class's images (the mean over an image's classes), `label` its own
        output on every image, `positive` its own output on its own images, by its positives' weight over
        its negatives'; `auto` is `image` on single-label data and `positive` on multi-label data.

    Source: Cui et al. (2019), "Class-balanced loss based on effective number of samples", section 4.
    """
    check_cb_beta("effective-number", cb_beta)
    return Plan((Phase(weight=class_weights(data, effective_number(cb_beta), per)),))


def check_cb_beta(strategy: str, cb_beta: float) -> None:
    check_number(strategy, "cb_beta", cb_beta, 0, 1 - 1e-9)


@STRATEGIES.add("rebalanced")
def rebalanced(
    data: TrainingSet,
    rng: Generator,
    *,
    lift: float = 0.1,
    steepness: float = 10.0,
    centre: float = 0.2,
) -> Plan:
    """Weigh each output of an image by how much class-aware sampling would repeat the image for its own sake.

    The ratio of 1 / count of the output's class to the sum of 1 / count over the image's classes goes
    through a sigmoid. An image without any class has the weight of the ratio 1.

    lift: added to every weight; the source's alpha.
    steepness: of the sigmoid; the source's beta.
    centre: ratio at the sigmoid's middle; the source's mu.

    Source: Wu et al. (2020), "Distribution-balanced loss for multi-label classification in long-tailed
    datasets", section on re-balanced weighting; the defaults are those for COCO-MLT.
    """
    return Plan((Phase(weight=rebalanced_weights("rebalanced", data.labels, lift, steepness, centre)),))


def rebalanced_weights(
    strategy: str, labels: Labels, lift: float, steepness: float, centre: float
) -> NDArray[np.float32]:
    """(n, c). Raises UsageError: a parameter that is negative or not finite."""
    for name, value in (("lift", lift), ("steepness", steepness), ("centre", centre)):
        check_number(strategy, name, value, 0)
    one = 1 / class_counts(labels).clip(1)
    repeats = (labels @ one)[:, None]
    ratio = np.where(repeats > 0, one / np.where(repeats > 0, repeats, 1), 1)
    return (lift + 1 / (1 + np.exp(-steepness * (ratio - centre)))).astype(np.float32)
