"""Scores of a bank of heads beside the truth: what every metric takes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.evaluation.curve import BankScores, Curve, PerClass, check_scores, places
from imbpipe.types import Labels


@dataclass(frozen=True, eq=False)
class Confusion:
    """Images by truth and prediction, each (k, c)."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    tn: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scored:
    """k heads' scores of n images in c classes.

    scores: (k, n, c) in [0, 1]; float16, float32 or float64. labels: (n, c) bool.
    thresholds: (k, c); a class is predicted where score > threshold, compared as exact numbers.

    Raises ResultsError: a shape or type that does not fit, a score outside [0, 1], a NaN.
    """

    scores: BankScores
    labels: Labels
    thresholds: PerClass

    def __post_init__(self) -> None:
        check_scores(self.scores, self.labels)
        if self.thresholds.shape != self.shape:
            raise ResultsError(
                f"thresholds of shape {self.thresholds.shape} for heads and classes of shape {self.shape}",
                "Give one for every head and class",
            )
        if np.isnan(self.thresholds).any():
            head, column = np.argwhere(np.isnan(self.thresholds))[0]
            raise ResultsError(f"the threshold of head {head}, class {column} is NaN", "Give a number")

    @property
    def shape(self) -> tuple[int, int]:
        """(k, c): heads and classes."""
        return self.scores.shape[0], self.scores.shape[2]

    @cached_property
    def curve(self) -> Curve:
        """The distinct scores, sorted once for all metrics."""
        return Curve.of(self.scores, self.labels)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """(k, n, c) where in `curve` each score stands."""
        return places(self.scores)

    @cached_property
    def positives(self) -> NDArray[np.int64]:
        """(k, c) images of each class, the same for every head."""
        return np.broadcast_to(self.labels.sum(axis=0), self.shape)

    @cached_property
    def negatives(self) -> NDArray[np.int64]:
        """(k, c) images not of each class."""
        return len(self.labels) - self.positives

    @cached_property
    def confusion(self) -> Confusion:
        """Counts at the thresholds."""
        above = self.curve.value > self.curve.spread(self.thresholds)
        tp = self.curve.sum(self.curve.positives * above)
        fp = self.curve.sum(self.curve.negatives * above)
        return Confusion(tp, fp, self.positives - tp, self.negatives - fp)

    def part(self, heads: slice, classes: slice | NDArray[Any]) -> "Scored":
        """Some of the heads and classes, these as a slice, by number or by mask."""
        return Scored(
            self.scores[heads, :, classes], self.labels[:, classes], self.thresholds[heads, classes]
        )


def ratio(part: NDArray[Any], whole: NDArray[Any], defined: NDArray[np.bool_]) -> PerClass:
    """part / whole where `defined`, NaN elsewhere."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=defined)
