"""Strategies that train as the baseline does and change the trained head or its thresholds."""

from typing import Literal

import numpy as np
from numpy.random import Generator

from imbpipe.errors import UsageError
from imbpipe.strategies.plan import Cut, Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet

Loss = Literal["auto", "bce", "softmax"]
"""Of the training before a step; "auto": softmax where an image has one class, else bce."""


@STRATEGIES.add("posthoc-logit-adjustment")
def posthoc_logit_adjustment(
    data: TrainingSet, rng: Generator, *, tau: float = 1.0, loss: Loss = "auto"
) -> Plan:
    """After training, subtract tau times the log of a class's training frequency from its logit.

    With sigmoid outputs the log of the odds, count / (n - count). There it moves all scores of a class
    alike, so that AP and AUROC stay, and thresholds chosen on validation images take it back.

    tau: 0 is no adjustment, 1 the best guess at the balanced error.
    loss: `softmax` over classes, `bce` for each class; `auto`: softmax on single-label data, else bce.

    Source: Menon et al. (2021), section 4.1.
    """
    step = ("logit-adjustment", {"tau": _number("posthoc-logit-adjustment", "tau", tau)})
    return Plan((plain_phase(data, loss),), posthoc=(step,))


@STRATEGIES.add("tau-norm")
def tau_norm(data: TrainingSet, rng: Generator, *, tau: float = 0.5, loss: Loss = "auto") -> Plan:
    """After training, divide each class's weights by their length to the power tau.

    With sigmoid outputs the bias too: the order of images within a class, and so AP and AUROC, stay.

    tau: 0 leaves the weights as trained, 1 makes all of the same length; to be chosen on validation.
    loss: `softmax` over classes, `bce` for each class; `auto`: softmax on single-label data, else bce.

    Source: Kang et al. (2020), section 4.1.
    """
    step = ("tau-norm", {"tau": _number("tau-norm", "tau", tau)})
    return Plan((plain_phase(data, loss),), posthoc=(step,))


@STRATEGIES.add("temperature")
def temperature(data: TrainingSet, rng: Generator, *, loss: Loss = "auto") -> Plan:
    """After training, divide all logits by the temperature that fits the validation images best.

    Calibrates scores (Brier score, ECE) and leaves every class as it ranks images if outputs are sigmoids.

    loss: `softmax` over classes, `bce` for each class; `auto`: softmax on single-label data, else bce.

    Source: Guo et al. (2017), section 4.2.
    """
    return Plan((plain_phase(data, loss),), posthoc=(("temperature", {}),))


@STRATEGIES.add("thresholds")
def thresholds(
    data: TrainingSet,
    rng: Generator,
    *,
    rule: Literal["fixed", "f1", "f2", "paper"] = "fixed",
    at: float = 0.5,
) -> Plan:
    """Train as the baseline does, and choose each class's threshold by another rule.

    rule: `fixed` takes the same for all classes; `f1` and `f2` the one with the highest F1 or F2 on the
        validation images; `paper` searches as the authors did, class after class, for the F2 of images.
    at: the threshold of `fixed`, from 0 to 1.

    Source: Panigrahi & Zhu (2023), released code, for `paper`; van Rijsbergen (1979), chapter 7, for F-beta.
    """
    if not 0 <= at <= 1:
        raise UsageError(f"strategy 'thresholds': at is {at}", "Thresholds lie from 0 to 1")
    cuts = {"fixed": Cut("fixed", at), "f1": Cut("f-beta", 1), "f2": Cut("f-beta", 2), "paper": Cut("paper")}
    return Plan(cut=cuts[rule])


def plain_phase(data: TrainingSet, loss: Loss) -> Phase:
    """Training without any handling of imbalance."""
    if loss == "auto":
        loss = "softmax" if data.task == "single-label" else "bce"
    return Phase(loss=loss)


def _number(strategy: str, name: str, value: float) -> float:
    if not (np.isfinite(value) and value >= 0):
        raise UsageError(f"strategy {strategy!r}: {name} is {value}", "It is a number from 0 up")
    return value
