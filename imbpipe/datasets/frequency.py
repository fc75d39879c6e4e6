"""How often each class occurs, and which classes count as rare."""

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import UsageError
from imbpipe.types import Labels

Counts = NDArray[np.int64]
"""(c,) positives a class."""


def class_counts(labels: Labels) -> Counts:
    """labels (n, c) -> (c,): the rows in which each class is positive."""
    return np.count_nonzero(labels, axis=0).astype(np.int64)


def low_frequency(counts: Counts, percentile: float = 25.0) -> NDArray[np.bool_]:
    """True for classes whose count is at or below the percentile of the counts.

    counts: (c,), or (..., c) for many sets of counts at once.
    percentile: 0 to 100; interpolated linearly between counts.
    Source: Panigrahi & Zhu (2023), section 4.
    """
    if not 0 <= percentile <= 100:
        raise UsageError(f"a percentile of {percentile}", "Choose one from 0 to 100")
    return counts <= np.percentile(counts, percentile, axis=-1, keepdims=True)


def many_medium_few(counts: Counts) -> NDArray[np.str_]:
    """(c,) "many" (more than 100 training images), "medium" (20 to 100) or "few" (fewer than 20).

    Source: Liu et al. (2019), "Large-Scale Long-Tailed Recognition in an Open World", section 5.1.
    """
    return np.select([counts > 100, counts >= 20], ["many", "medium"], "few")
