"""Decisions on images that no threshold was chosen on, where there are no others to choose it on."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.evaluation.curve import BankScores
from imbpipe.evaluation.thresholds import best_thresholds
from imbpipe.types import Labels

PARTS = 5


def crossfitted(
    labels: Labels, scores: BankScores, rng: Generator, beta: float = 2.0
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(k, n, c) predictions, and (k, c) the thresholds' medians over the parts.

    Each class's positives and negatives are dealt to five parts at random; the images of a part are decided
    by the threshold of the highest F-beta on the other four.
    Raises: as `best_thresholds`.

    Source: Stone (1974), cross-validatory choice.
    """
    predicted = np.empty(scores.shape, np.bool_)
    thresholds = np.empty((PARTS, scores.shape[0], scores.shape[2]))
    for column in range(labels.shape[1]):
        part = _deal(labels[:, column], rng)
        for number in range(PARTS):
            inside, one = part == number, slice(column, column + 1)
            chosen = best_thresholds(labels[~inside, one], scores[:, ~inside, one], beta)
            predicted[:, inside, column] = scores[:, inside, column] > chosen
            thresholds[number, :, column] = chosen[:, 0]
    return predicted, np.median(thresholds, axis=0)


def _deal(truth: NDArray[np.bool_], rng: Generator) -> NDArray[np.int64]:
    """(n,) parts: positives in turn, then negatives in turn, each in random order."""
    order = np.lexsort((rng.random(len(truth)), ~truth))
    part = np.empty(len(truth), np.int64)
    part[order] = np.arange(len(truth)) % PARTS
    return part
