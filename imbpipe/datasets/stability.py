"""How far the low-frequency set depends on which images are drawn for training."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts, low_frequency
from imbpipe.datasets.imbalance import label_sets
from imbpipe.errors import UsageError
from imbpipe.types import Labels

BLOCK = 4_000_000
"""Numbers held at once: splits times label sets."""


@dataclass(frozen=True, eq=False)
class Stability:
    """low: (c,) the low-frequency set of all images. share: (c,) of random splits that each class is in it.

    unchanged: share of the splits whose set is that of all images.
    splits: how many. images: in each.
    """

    low: NDArray[np.bool_]
    share: NDArray[np.float64]
    unchanged: float
    splits: int
    images: int


def stability(
    labels: Labels, rng: Generator, *, splits: int = 1000, fraction: float = 0.8, percentile: float = 25.0
) -> Stability:
    """Draw `splits` plain random splits of (n, c) labels, and see which classes are low-frequency in each.

    fraction: of the images in the part that counts, above 0, up to 1; at least one image.
    Images with the same labels count alike, so a split is a draw of how many of each label set it holds.
    Raises UsageError: a number of splits or a fraction that cannot be meant.
    """
    if splits < 1:
        raise UsageError(f"{splits} random splits", "Draw at least 1")
    if not 0 < fraction <= 1:
        raise UsageError(f"random splits of a fraction of {fraction}", "It is above 0 and at most 1")
    low = low_frequency(class_counts(labels), percentile)
    sets, sizes = label_sets(labels)
    images = max(1, round(fraction * len(labels)))
    block = max(1, BLOCK // len(sets))
    chosen = np.zeros(len(low), np.int64)
    same = 0
    for start in range(0, splits, block):
        drawn = rng.multivariate_hypergeometric(
            sizes, images, size=min(block, splits - start), method="marginals"
        )
        each = low_frequency(drawn @ sets.astype(np.float64), percentile)
        chosen += each.sum(axis=0)
        same += int((each == low).all(axis=1).sum())
    return Stability(low, chosen / splits, same / splits, splits, images)
