"""Intervals for the average precision of one run, over other test images."""

import numpy as np

from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.intervals import wilson_interval
from imbpipe.evaluation.left_out import pulls
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Scored


def ap_interval(scored: Scored, confidence: float = 0.95) -> tuple[PerClass, PerClass]:
    """(k, c) twice: low and high; NaN for a class with fewer than two positives.

    Wilson's interval of a share among as many trials as would give the variance over images, but no more
    trials than the class has positives: where all images pull alike, as at an average precision of 1, the
    variance alone would say that nothing is uncertain.

    Source: Wilson (1927); Kish (1965), section 8.2, for the effective number.
    """
    value = METRICS["ap"](scored)
    variance = (pulls(scored, "ap") ** 2).sum(axis=1)
    positives = np.where(np.isnan(variance), np.nan, scored.positives)
    effective = np.divide(value * (1 - value), variance, out=positives.copy(), where=variance > 0)
    trials = np.nan_to_num(np.fmin(effective, positives))
    return wilson_interval(np.nan_to_num(value) * trials, trials, confidence)


def mean_ap_interval(scored: Scored, confidence: float = 0.95) -> tuple[PerClass, PerClass]:
    """(k,) twice: low and high of the mean over the classes that have two positives or more; NaN without.

    As `ap_interval`, among as many trials as the variance of the mean allows.
    """
    pulled = pulls(scored, "ap")
    known = ~np.isnan(pulled).any(axis=(0, 1))
    if not known.any():
        return np.full(len(pulled), np.nan), np.full(len(pulled), np.nan)
    value = METRICS["ap"](scored)[:, known].mean(axis=1)
    variance = (pulled[:, :, known].mean(axis=2) ** 2).sum(axis=1)
    positives = scored.positives[:, known].sum(axis=1).astype(np.float64)
    trials = np.divide(value * (1 - value), variance, out=positives, where=variance > 0)
    return wilson_interval(value * trials, trials, confidence)
