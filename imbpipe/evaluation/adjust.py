"""p-values of many tests, made stricter. NaN stays NaN and does not count as a test."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbpipe.errors import UsageError


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """(...) -> (...): at or under a level a with a chance of at most a, any false positive at all.

    Source: Holm (1979).
    """
    adjusted, known = _checked(p)
    order = np.argsort(adjusted[known])
    tests = len(order)
    stepped = np.maximum.accumulate(adjusted[known][order] * (tests - np.arange(tests)))
    adjusted[known] = np.minimum(stepped, 1)[np.argsort(order)]
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """(...) -> (...): of those at or under a level a, a share of at most a is expected to be false.

    Source: Benjamini & Hochberg (1995), by SciPy's `false_discovery_control`.
    """
    from scipy.stats import false_discovery_control

    adjusted, known = _checked(p)
    if known.any():
        adjusted[known] = false_discovery_control(adjusted[known])
    return adjusted


def _checked(p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A copy and which of it are numbers. Raises UsageError: one outside [0, 1]."""
    values = np.array(p, dtype=np.float64)
    known = ~np.isnan(values)
    if not ((values[known] >= 0) & (values[known] <= 1)).all():
        raise UsageError("a p-value outside [0, 1]", "Give p-values as the tests return them")
    return values, known
