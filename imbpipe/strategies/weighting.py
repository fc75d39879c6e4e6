"""A constant factor on the loss of low-frequency classes."""

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
    per: Literal["image", "label", "batch"] = "image",
    percentile: float = 25.0,
) -> Plan:
    """Multiply the loss of low-frequency classes by a constant factor.

    factor: 0 or more; 1 is the baseline.
    per: `image` multiplies all outputs of an image that holds a low-frequency class, as the paper's
        code does; `label` only the outputs of the low-frequency classes, on every image; `batch`
        the whole loss of a batch, by the mean factor of its images: so the paper's code does on single-label
        data, where its loss was already a scalar; Adam nearly cancels it.
    percentile: a class is low-frequency when its count is at or below this percentile of the counts.

    Source: Panigrahi & Zhu (2023), section 3; their code for `image` and `batch`.
    """
    if not (np.isfinite(factor) and factor >= 0):
        raise UsageError(f"strategy 'upweight': factor is {factor}", "Factors are numbers from 0 up")
    low = low_frequency(class_counts(data.labels), percentile)
    if per == "label":
        weight = np.broadcast_to(np.where(low, factor, 1.0), data.labels.shape)
    else:
        weight = np.where(data.labels[:, low].any(axis=1), factor, 1.0)
    return Plan((Phase(weight=weight.astype(np.float32), weight_per="batch" if per == "batch" else "row"),))
