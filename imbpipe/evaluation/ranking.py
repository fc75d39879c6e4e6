"""Metrics of the order of scores; no threshold needed."""

from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Scored, ratio


@METRICS.add("ap")
def average_precision(scored: Scored) -> PerClass:
    """Average precision: the mean, over the positives, of the precision at their score.

    The sum over distinct scores of (gain in recall) x precision, without interpolation; images with
    equal scores count as one step. Equals scikit-learn's `average_precision_score`.

    Source: Manning, Raghavan & Schütze (2008), section 8.4.
    """
    curve = scored.curve
    true = curve.from_here_up(curve.positives)
    steps = curve.positives * true / (true + curve.from_here_up(curve.negatives))
    return ratio(curve.sum(steps), scored.positives, scored.positives > 0)


@METRICS.add("auroc")
def area_under_roc(scored: Scored) -> PerClass:
    """Area under the ROC curve: the chance that a positive scores higher than a negative.

    Equal scores count half. NaN also where the class has no negative image.

    Source: Hanley & McNeil (1982).
    """
    curve = scored.curve
    below = curve.spread(scored.negatives) - curve.from_here_up(curve.negatives)
    won = curve.sum(curve.positives * (below + curve.negatives / 2))
    pairs = scored.positives * scored.negatives
    return ratio(won, pairs, pairs > 0)
