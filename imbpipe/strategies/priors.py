"""Strategies that build the classes' frequencies into the loss: as offsets of the logits, or as margins."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.strategies.class_weights import check_cb_beta, class_weights, effective_number
from imbpipe.strategies.losses import log_odds
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES, check_number, require_single_label
from imbpipe.types import TrainingSet


def log_shares(data: TrainingSet) -> NDArray[np.float32]:
    """(c,) float32: log of each class's share of the labels; a class without examples counts as of one."""
    counts = class_counts(data.labels).clip(1)
    return np.log(counts / counts.sum()).astype(np.float32)


@STRATEGIES.add("balanced-softmax")
def balanced_softmax(data: TrainingSet, rng: Generator) -> Plan:
    """Train a softmax in which every class counts by its frequency, so that without it the classes are level.

    Task: single-label.
    Source: Ren et al. (2020), "Balanced meta-softmax for long-tailed visual recognition", theorem 1.
    """
    require_single_label("balanced-softmax", data, "balanced-sigmoid")
    return Plan((Phase(loss="softmax", offset=log_shares(data)),))


@STRATEGIES.add("balanced-sigmoid")
def balanced_sigmoid(data: TrainingSet, rng: Generator) -> Plan:
    """Train each class's sigmoid with its log-odds added, so that without them the classes are level.

    Scores are then those of a balanced set: as many positives as negatives of each class on multi-label
    data, as many images of every class on single-label data.

    Source: Ren et al. (2020), "Balanced meta-softmax for long-tailed visual recognition", the sigmoid form
    of their code for instance segmentation.
    """
    offset = log_odds(data)
    if data.task == "single-label":
        offset = offset + np.float32(np.log(max(data.labels.shape[1] - 1, 1)))
    return Plan((Phase(offset=offset),))


@STRATEGIES.add("logit-adjusted-loss")
def logit_adjusted_loss(data: TrainingSet, rng: Generator, *, tau: float = 1.0) -> Plan:
    """Add tau times the classes' log-frequencies to the logits while training.

    Single-label: of a softmax; tau 1 is balanced-softmax. Multi-label: the log-odds, of one sigmoid a class;
    tau 1 is balanced-sigmoid.

    tau: 0 or more; 0 is no adjustment.

    Source: Menon et al. (2021), "Long-tail learning via logit adjustment", equation 10.
    """
    check_number("logit-adjusted-loss", "tau", tau, 0)
    if data.task == "single-label":
        return Plan((Phase(loss="softmax", offset=np.float32(tau) * log_shares(data)),))
    return Plan((Phase(offset=np.float32(tau) * log_odds(data)),))


@STRATEGIES.add("ldam")
def ldam(data: TrainingSet, rng: Generator, *, max_margin: float = 0.5, scale: float = 1.0) -> Plan:
    """Ask the rarer classes for a larger margin, in proportion to count^(-1/4).

    Task: single-label.
    max_margin: of the rarest class, 0 or more; the margin is taken off the true class's logit.
    scale: factor on the logits in the loss, above 0; the source takes 30, for logits that are cosines.

    Source: Cao et al. (2019), "Learning imbalanced datasets with label-distribution-aware margin loss",
    equation 13.
    """
    return Plan((_ldam("ldam", data, max_margin, scale),))


@STRATEGIES.add("ldam-drw")
def ldam_drw(
    data: TrainingSet,
    rng: Generator,
    *,
    max_margin: float = 0.5,
    scale: float = 1.0,
    start: float = 0.8,
    cb_beta: float = 0.9999,
) -> Plan:
    """LDAM, with classes weighed by one over their effective number late in training.

    Task: single-label.
    max_margin: of the rarest class, 0 or more; the margin is taken off the true class's logit.
    scale: factor on the logits in the loss, above 0; the source takes 30, for logits that are cosines.
    start: the share of training after which weights set in, above 0 and below 1.
    cb_beta: the base of effective numbers, from 0 (no weighting) to below 1 (inverse frequency).

    Source: Cao et al. (2019), "Learning imbalanced datasets with label-distribution-aware margin loss",
    algorithm 1 and their code.
    """
    first = _ldam("ldam-drw", data, max_margin, scale)
    check_number("ldam-drw", "start", start, 0.001, 0.999)
    check_cb_beta("ldam-drw", cb_beta)
    weight = class_weights(data, effective_number(cb_beta), "image")
    late = Phase(start, weight=weight, loss=first.loss, parameters=first.parameters)
    return Plan((first, late))


def _ldam(strategy: str, data: TrainingSet, max_margin: float, scale: float) -> Phase:
    require_single_label(strategy, data, "balanced-sigmoid, asymmetric, distribution-balanced")
    check_number(strategy, "max_margin", max_margin, 0)
    check_number(strategy, "scale", scale, 0.01)
    margin = class_counts(data.labels).clip(1) ** -0.25
    return Phase(loss="ldam", parameters={"margin": margin * max_margin / margin.max(), "scale": scale})
