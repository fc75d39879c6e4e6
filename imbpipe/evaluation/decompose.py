"""A gain in decisions, split: what moving the thresholds would have given, and what a better order gives."""

from dataclasses import dataclass

import numpy as np

from imbpipe.errors import UsageError
from imbpipe.evaluation.counts import COUNTED, of_counts
from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.scored import Confusion, Scored


@dataclass(frozen=True, eq=False)
class Gain:
    """total = threshold + ranking, each (k, c); NaN for a class without positives.

    threshold: what theirs gain when they predict as many images positive as ours do, in their own order.
    ranking: what ours gain beyond that, by ranking the images better.
    """

    total: PerClass
    threshold: PerClass
    ranking: PerClass


def decompose(ours: Confusion, theirs: Scored, metric: str, *, now: Confusion | None = None) -> Gain:
    """Split what ours gain over theirs in a metric of decisions, such as `f2` or `recall`.

    ours: (k, c) counts on the same images. theirs: scores (k, n, c) and thresholds. now: their counts, where
        they were not decided at these thresholds.
    Where equal scores do not allow as many predictions, the share of them that is needed is taken, as
    breaking ties at random would on average.
    Raises UsageError: not a metric of decisions.
    """
    if metric not in COUNTED:
        raise UsageError(f"no thresholds move {metric!r}", f"Choose one of {', '.join(COUNTED)}")
    before = of_counts(metric, now or theirs.confusion)
    moved = of_counts(metric, _predicting(theirs, (ours.tp + ours.fp).astype(np.float64)))
    after = of_counts(metric, ours)
    return Gain(after - before, moved - before, after - moved)


def _predicting(scored: Scored, predicted: PerClass) -> Confusion:
    """Counts when the `predicted` (k, c) images of the highest scores are predicted positive."""
    curve = scored.curve
    true = curve.from_here_up(curve.positives)
    every = true + curve.from_here_up(curve.negatives)
    ends = np.append(curve.start[1:], curve.value.size)
    tp = np.empty(scored.shape)
    for at, place in enumerate(np.ndindex(*scored.shape)):
        down = slice(curve.start[at], ends[at])
        tp[place] = np.interp(predicted[place], [0, *every[down][::-1]], [0, *true[down][::-1]])
    fp = predicted - tp
    return Confusion(tp, fp, scored.positives - tp, scored.negatives - fp)  # type: ignore[arg-type]  # fractions
