"""Strategies that change how much a loss counts."""

from typing import Literal

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.frequency import class_counts, low_frequency
from imbpipe.errors import UsageError
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet


@STRATEGIES.add("upweight")
def upweight(
    data: TrainingSet,
    rng: Generator,
    *,
    factor: float = 2.0,
    per: Literal["image", "label"] = "image",
    percentile: float = 25.0,
) -> Plan:
    """Multiply the loss of low-frequency classes by a constant factor.

    factor: 0 or more; 1 is the baseline.
    per: `image` multiplies all outputs of an image that holds a low-frequency class, as the paper's
        code does; `label` only the outputs of the low-frequency classes, on every image.
    percentile: a class is low-frequency when its count is at or below this percentile of the counts.

    Source: Panigrahi & Zhu (2023), section 3; their code for `image`.
    """
    if not (np.isfinite(factor) and factor >= 0):
        raise UsageError(f"strategy 'upweight': factor is {factor}", "Factors are numbers from 0 up")
    low = low_frequency(class_counts(data.labels), percentile)
    if per == "image":
        weight = np.where(data.labels[:, low].any(axis=1), factor, 1.0)
    else:
        weight = np.broadcast_to(np.where(low, factor, 1.0), data.labels.shape)
    return Plan((Phase(weight=weight.astype(np.float32)),))
