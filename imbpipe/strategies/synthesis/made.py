"""What strategies that make rows share."""

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.frequency import Counts
from imbpipe.strategies.plan import Phase, Plan, Synthetic
from imbpipe.types import Features, Rows, TrainingSet

MOST = 1 << 15
"""Rows that a strategy makes at most: 64 MiB of 512 dimensions. Where more are drawn, they repeat."""


def made_counts(missing: Counts) -> Counts:
    """(c,) rows to make for `missing` draws a class: as many, or the class's share of MOST, 1 at least."""
    total = int(missing.sum())
    if total <= MOST:
        return missing
    return np.maximum(missing * MOST // total, np.minimum(missing, 1))


def beside_the_real(
    data: TrainingSet, features: list[Features], labels: list[NDArray[np.bool_]], missing: Counts
) -> Plan:
    """Every image once an epoch, and the rows made for class i `missing[i]` times in all.

    features, labels: of each class, (m, d) and (m, c).
    """
    n, ends = len(data.labels), np.cumsum([len(part) for part in features])
    own = (np.arange(end - len(part), end) for part, end in zip(features, ends, strict=True))
    drawn: list[Rows] = [n + np.resize(rows, count) for rows, count in zip(own, missing, strict=True)]
    if not missing.any():
        return Plan()
    made = Synthetic(np.concatenate(features), np.concatenate(labels).astype(np.float32))
    return Plan((Phase(rows=np.concatenate([np.arange(n), *drawn])),), made)
