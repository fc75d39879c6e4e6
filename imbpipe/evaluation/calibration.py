"""Metrics of scores taken as probabilities. A class without positives has no value: NaN."""

import numpy as np

from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Scored, ratio

BINS = 15


@METRICS.add("brier")
def brier(scored: Scored) -> PerClass:
    """Brier score: the mean squared distance of score and truth; 0 is best.

    Source: Brier (1950), for one of two outcomes, as scikit-learn's `brier_score_loss`.
    """
    curve = scored.curve
    squares = curve.positives * (1 - curve.value) ** 2 + curve.negatives * curve.value**2
    return ratio(curve.sum(squares), scored.positives + scored.negatives, scored.positives > 0)


@METRICS.add("ece")
def expected_calibration_error(scored: Scored) -> PerClass:
    """Expected calibration error: the mean gap between scores and the share of positives, over 15 bins.

    Bins of equal width over [0, 1], closed on the right, the first on both sides:
    the sum over bins of |positives in it - sum of its scores| / images.

    Source: Naeini, Cooper & Hauskrecht (2015); 15 bins as in Guo et al. (2017).
    """
    curve = scored.curve
    stretch = curve.spread(np.arange(curve.start.size))
    inner_edges = np.linspace(0, 1, BINS + 1)[1:-1]
    cell = stretch * BINS + np.searchsorted(inner_edges, curve.value)
    excess = curve.positives - (curve.positives + curve.negatives) * curve.value
    gaps = np.bincount(cell, weights=excess, minlength=curve.start.size * BINS)
    total = np.abs(gaps).reshape(*scored.shape, BINS).sum(axis=-1)
    return ratio(total, scored.positives + scored.negatives, scored.positives > 0)
