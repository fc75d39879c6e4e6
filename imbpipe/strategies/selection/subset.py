"""A share of all images, for curves of score against size."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.errors import UsageError
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import CRITERIA, Pick, plan_by
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Labels, Rows, TrainingSet


@STRATEGIES.add("subset")
def subset(data: TrainingSet, rng: Generator, *, fraction: float = 0.1, by: str = "random") -> Plan:
    """Keep a fraction of all images, the imbalance as it is.

    Stratified over label combinations: of each the fraction, rounded up or down so that the sum is right
    and rare combinations together get their share; which images of a combination, `by` says.

    fraction: above 0, up to 1; at least one image is kept.
    by: random, or a strategy that selects: herding, k-center, facility-location, cluster-centroids,
        semdedup, el2n, margin, moderate.

    Source: Panigrahi & Zhu (2023), section 6, asks how redundant the data are.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"strategy 'subset': fraction is {fraction}", "It is above 0 and at most 1")
    if by not in CRITERIA:
        raise UsageError(f"strategy 'subset': by is {by!r}", f"Known: {', '.join(CRITERIA)}")
    return plan_by(by, data, rng, fraction, lambda pick: _strata(data.labels, fraction, pick))


def _strata(labels: Labels, fraction: float, pick: Pick) -> Rows:
    _, stratum = np.unique(np.packbits(labels, axis=1), axis=0, return_inverse=True)
    order, sizes = np.argsort(stratum, kind="stable"), np.bincount(stratum)
    counts = shares(sizes, max(1, round(fraction * len(labels))))
    kept = []
    for rows, count in zip(np.split(order, np.cumsum(sizes)[:-1]), counts.tolist(), strict=True):
        if count == len(rows):
            kept.append(rows)
        elif count:
            kept.append(pick(rows, rows[:0], count))
    return np.sort(np.concatenate(kept))


def shares(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Whole numbers with the sum `total` <= sizes.sum(), each less than 1 from its share of it.

    Systematic sampling: what one stratum's rounding takes, the next one's gives back.
    """
    ends = (2 * total * np.cumsum(sizes) + sizes.sum()) // (2 * sizes.sum())
    return np.diff(ends, prepend=0)
