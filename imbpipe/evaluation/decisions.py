"""Metrics of predictions at the thresholds. A class without positives has no value: NaN."""

from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Scored, ratio


@METRICS.add("precision")
def precision(scored: Scored) -> PerClass:
    """Share of the images predicted positive that are; 0 where none is predicted.

    Source: van Rijsbergen (1979), chapter 7.
    """
    counts = scored.confusion
    return ratio(counts.tp, (counts.tp + counts.fp).clip(1), scored.positives > 0)


@METRICS.add("recall")
def recall(scored: Scored) -> PerClass:
    """Share of the positive images that are predicted positive.

    Source: van Rijsbergen (1979), chapter 7.
    """
    return ratio(scored.confusion.tp, scored.positives, scored.positives > 0)


@METRICS.add("f1")
def f1(scored: Scored) -> PerClass:
    """Harmonic mean of precision and recall.

    Source: van Rijsbergen (1979), chapter 7, with beta 1.
    """
    return _f_beta(scored, 1)


@METRICS.add("f2")
def f2(scored: Scored) -> PerClass:
    """Weighted harmonic mean of precision and recall in which recall weighs more.

    Source: van Rijsbergen (1979), chapter 7, with beta 2.
    """
    return _f_beta(scored, 2)


def _f_beta(scored: Scored, beta: int) -> PerClass:
    counts = scored.confusion
    weighted = (1 + beta**2) * counts.tp
    return ratio(weighted, weighted + beta**2 * counts.fn + counts.fp, scored.positives > 0)


@METRICS.add("specificity")
def specificity(scored: Scored) -> PerClass:
    """Share of the negative images that are predicted negative; NaN also where there is none.

    Source: Yerushalmy (1947).
    """
    return ratio(scored.confusion.tn, scored.negatives, scored.positives * scored.negatives > 0)


@METRICS.add("balanced_accuracy")
def balanced_accuracy(scored: Scored) -> PerClass:
    """Mean of recall and specificity: 0.5 for always answering "no"; NaN also without a negative image.

    Source: Brodersen et al. (2010).
    """
    return (recall(scored) + specificity(scored)) / 2


@METRICS.add("accuracy")
def accuracy(scored: Scored) -> PerClass:
    """Share of the images predicted rightly; on rare classes near 1 for always answering "no".

    Source: Brodersen et al. (2010), for what it hides.
    """
    counts = scored.confusion
    return ratio(counts.tp + counts.tn, scored.positives + scored.negatives, scored.positives > 0)


@METRICS.add("predicted_negative_rate")
def predicted_negative_rate(scored: Scored) -> PerClass:
    """Share of the images predicted negative, right or wrong: what the paper plots as "accuracy".

    Kept to compare with the paper's figures; it says nothing of how good a head is.

    Source: Panigrahi & Zhu (2023), released code: (tn + fn) / N.
    """
    counts = scored.confusion
    return ratio(counts.tn + counts.fn, scored.positives + scored.negatives, scored.positives > 0)
