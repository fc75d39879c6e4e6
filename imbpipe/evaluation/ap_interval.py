"""Intervals for the average precision of one run, over other test images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.curve import PerClass, blocks
from imbpipe.evaluation.intervals import wilson_interval
from imbpipe.evaluation.left_out import pulls
from imbpipe.evaluation.metrics import evaluate
from imbpipe.evaluation.scored import Scored


@dataclass(frozen=True, eq=False)
class ApIntervals:
    """(low, high) of every head and class, (k, c) each, and of the mean over classes, (k,) each.

    NaN for a class with fewer than two positives; such classes are left out of the mean.
    """

    classes: tuple[PerClass, PerClass]
    mean: tuple[NDArray[np.float64], NDArray[np.float64]]


def ap_intervals(scored: Scored, confidence: float = 0.95) -> ApIntervals:
    """Wilson's interval of a share among as many trials as would give the variance over images.

    But no more trials than the class has positives: where all images pull alike, as at an average precision
    of 1, the variance alone would say that nothing is uncertain.

    Source: Wilson (1927); Kish (1965), section 8.2, for the effective number.
    """
    value = evaluate(scored, ["ap"])["ap"]
    variance = np.empty(scored.shape)
    together = np.zeros(scored.scores.shape[:2])
    for heads, classes in blocks(scored.scores.shape):
        pulled = pulls(scored.part(heads, classes), "ap")
        variance[heads, classes] = (pulled**2).sum(axis=1)
        together[heads] += np.nansum(pulled, axis=2)
    known = ~np.isnan(variance)
    positives = np.where(known, scored.positives, 0).astype(np.float64)
    trials = np.fmin(_trials(value, variance, positives), positives)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, value, 0).sum(axis=1) / count
    in_all = _trials(mean, (together**2).sum(axis=1) / count**2, positives.sum(axis=1))
    return ApIntervals(_wilson(value, trials, confidence), _wilson(mean, in_all, confidence))


def _trials(
    share: NDArray[np.float64], variance: NDArray[np.float64], most: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(...) share (1 - share) / variance; `most` where nothing varies."""
    return np.divide(share * (1 - share), variance, out=most.copy(), where=variance > 0)


def _wilson(
    share: NDArray[np.float64], trials: NDArray[np.float64], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return wilson_interval(np.nan_to_num(share) * trials, trials, confidence)
