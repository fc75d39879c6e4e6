"""Thresholds chosen on validation scores. A class is predicted where score > threshold."""

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import UsageError
from imbpipe.evaluation.curve import BankScores, Curve, PerClass, blocks, check_scores
from imbpipe.strategies.plan import Cut
from imbpipe.types import Labels

NO_POSITIVES = 0.5
"""The threshold of a class without positive images, for which none is better than another."""

PAPER_START = 0.2


def thresholds_by(cut: Cut, labels: Labels, scores: BankScores) -> PerClass:
    """(k, c) thresholds by one of the rules. labels: (n, c). scores: (k, n, c) in [0, 1].

    Raises as `best_thresholds`.
    """
    if cut.rule == "f-beta":
        return best_thresholds(labels, scores, beta=cut.value)
    if cut.rule == "paper":
        return paper_thresholds(labels, scores)
    return np.full((scores.shape[0], scores.shape[2]), cut.value)


def best_thresholds(labels: Labels, scores: BankScores, beta: float = 2.0) -> PerClass:
    """The threshold of every head and class with the highest F-beta on these images.

    labels: (n, c). scores: (k, n, c) in [0, 1]. beta: 0 or more; above 1 recall weighs more.
    Returns (k, c) float64: of all ways to cut the images by score, the best one, halfway between the two
    scores on its sides. Below the lowest score the other side is 0, or -1 if that score is 0 itself.
    Of equally good cuts the lowest is taken; a class without positives gets 0.5.
    Raises ResultsError: scores and labels that do not fit, a score outside [0, 1].

    Source: van Rijsbergen (1979), chapter 7, for F-beta.
    """
    if not (np.isfinite(beta) and beta >= 0):
        raise UsageError(f"a beta of {beta}", "Give a number of 0 or more, such as 2")
    check_scores(scores, labels)
    thresholds = np.empty((scores.shape[0], scores.shape[2]))
    for heads, classes in blocks(scores.shape):
        curve = Curve.of(scores[heads, :, classes], labels[:, classes])
        thresholds[heads, classes] = _best_cuts(curve, beta)
    return thresholds


def _best_cuts(curve: Curve, beta: float) -> PerClass:
    """(k, c): the lowest of the best cuts; each predicts the images at one score and above."""
    positives = curve.sum(curve.positives)
    true = curve.from_here_up(curve.positives)
    predicted = true + curve.from_here_up(curve.negatives)
    merit = true / (beta**2 * curve.spread(positives) + predicted)  # F-beta / (1 + beta²)
    is_best = merit == curve.spread(np.maximum.reduceat(merit, curve.start))
    best = np.flatnonzero(is_best)
    lowest = best[np.searchsorted(best, curve.start)]
    upper = curve.value[lowest]
    lower = np.where(lowest > curve.start, curve.value[lowest - 1], np.where(upper > 0, 0.0, -1.0))
    middle = (lower + upper) / 2
    middle = np.where(middle < upper, middle, lower)  # neighbouring float64: their mean may round up
    return np.where(positives > 0, middle.reshape(curve.shape), NO_POSITIVES)


def paper_thresholds(labels: Labels, scores: BankScores) -> PerClass:
    """The thresholds that the paper's authors searched for, class after class, on the scored images.

    All start at 0.2. For each class in order, with the others as they then stand, the first of 0.00,
    0.01, … 0.99 is kept at which the samples-averaged F2 is highest; an image without labels and
    predictions counts 0. To compare with the paper only: the search overfits, and depends on the order.

    labels: (n, c). scores: (k, n, c) in [0, 1]. Returns (k, c) float64.
    Raises ResultsError: as `best_thresholds`.

    Source: Panigrahi & Zhu (2023), released code.
    """
    check_scores(scores, labels)
    return np.stack([_search(labels, head.astype(np.float64)) for head in scores])


def _search(labels: Labels, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(c,) thresholds of one head. Per image, only what the other classes add up to is kept."""
    candidates = np.arange(100)[:, None] / 100
    thresholds = np.full(labels.shape[1], PAPER_START)
    predictions = scores > PAPER_START
    true = labels.sum(axis=1)
    for column in range(labels.shape[1]):
        truth = labels[:, column]
        others = np.delete(predictions, column, axis=1)
        hits = (others & np.delete(labels, column, axis=1)).sum(axis=1)
        without = _f2(hits, true, others.sum(axis=1))
        within = _f2(hits + truth, true, others.sum(axis=1) + 1)
        f2 = np.where(scores[:, column] > candidates, within, without).mean(axis=1)
        thresholds[column] = candidates[f2.argmax(), 0]
        predictions[:, column] = scores[:, column] > thresholds[column]
    return thresholds


def _f2(
    hits: NDArray[np.int64], true: NDArray[np.int64], predicted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n,) F2 of each image, in scikit-learn's order of operations, so that ties stay ties."""
    whole = 4.0 * true + predicted
    return np.divide(5.0 * hits, whole, out=np.zeros(len(hits)), where=whole > 0)
