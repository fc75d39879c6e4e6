"""Intervals: over runs, and for a proportion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbpipe.errors import UsageError


@dataclass(frozen=True, eq=False)
class Interval:
    """mean, low, high, each (...). runs: (...) how many values went in.

    NaN says "not known": the mean without a run, the ends with fewer than two.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    runs: NDArray[np.int64]


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean over runs and where the mean of ever more such runs would lie.

    values: (r, ...), one row a run, in no order; a NaN is left out of its column and not counted.
    confidence: between 0 and 1.

    Source: Student (1908).
    """
    _check_confidence(confidence)
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(values)
    runs = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    mean = np.where(runs > 0, total / np.maximum(runs, 1), np.nan)
    freedom = np.maximum(runs - 1, 1)
    variance = (np.where(known, values - mean, 0) ** 2).sum(axis=0) / freedom
    half = stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance / np.maximum(runs, 1))
    half = np.where(runs > 1, half, np.nan)
    return Interval(mean, mean - half, mean + half, runs)


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(low, high) of a proportion such as recall; NaN where there was no trial.

    successes, trials: (...) counts, 0 <= successes <= trials.
    Raises UsageError: counts that cannot be.

    Source: Wilson (1927).
    """
    _check_confidence(confidence)
    from scipy.special import ndtri

    x, n = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (successes, trials)))
    if not ((x >= 0) & (x <= n)).all():
        raise UsageError("a proportion with fewer than 0 or more than all successes", "Give counts")
    z = ndtri((1 + confidence) / 2)
    safe = np.where(n > 0, n, np.nan)
    middle = (x + z**2 / 2) / (safe + z**2)
    half = z / (safe + z**2) * np.sqrt(x * (safe - x) / safe + z**2 / 4)
    low = np.where((x == 0) & (n > 0), 0.0, middle - half)
    high = np.where((x == n) & (n > 0), 1.0, middle + half)
    return low, high


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence}", "Give a number between 0 and 1, such as 0.95")
