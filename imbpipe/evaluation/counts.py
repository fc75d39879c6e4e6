"""Metrics of nothing but the counts of right and wrong decisions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Confusion

COUNTED = (
    "precision",
    "recall",
    "f1",
    "f2",
    "specificity",
    "balanced_accuracy",
    "accuracy",
    "predicted_negative_rate",
)


@dataclass(frozen=True, eq=False)
class _Counts:
    """What these metrics look at in a `Scored`."""

    confusion: Confusion
    positives: NDArray[Any]
    negatives: NDArray[Any]


def of_counts(metric: str, counts: Confusion) -> PerClass:
    """(k, c) the metric, one of `COUNTED`, of other counts than whole images at a threshold give.

    Fractions are allowed; a count below 0 gives a meaningless value without a warning.
    """
    made = _Counts(counts, counts.tp + counts.fn, counts.fp + counts.tn)
    with np.errstate(divide="ignore", invalid="ignore"):
        return METRICS[metric](made)  # type: ignore[arg-type]  # these metrics read nothing else
