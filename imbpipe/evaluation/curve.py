"""Every distinct score of a head and class, with the images that hold it: all metrics are made of that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.types import Labels

BLOCK = 2**18
"""Scores that are worked on at a time: their sorted copies stay in a processor's cache."""

BankScores = NDArray[np.floating[Any]]
"""(k, n, c) float16, float32 or float64 in [0, 1]: k heads, n images, c classes."""

PerClass = NDArray[np.float64]
"""(k, c): one number a head and class."""


def check_scores(scores: BankScores, labels: Labels) -> None:
    """Raises ResultsError: a shape or type that does not fit, no image, a score outside [0, 1] or NaN."""
    if scores.ndim != 3 or scores.shape[1:] != labels.shape:
        raise ResultsError(
            f"scores of shape {scores.shape} for labels of shape {labels.shape}",
            "Scores are (heads, images, classes), labels (images, classes)",
        )
    if labels.dtype != np.bool_ or scores.dtype not in (np.float16, np.float32, np.float64):
        raise ResultsError(
            f"scores of type {scores.dtype} with labels of type {labels.dtype}",
            "Scores are float16, float32 or float64, labels are bool",
        )
    if scores.size == 0:
        raise ResultsError(f"no scores: their shape is {scores.shape}", "Give at least one image and class")
    if _bits(scores).max() > _bits(np.ones(1, scores.dtype))[0]:
        _name_a_bad_score(scores)


def _bits(scores: BankScores) -> NDArray[np.unsignedinteger[Any]]:
    """The bytes of IEEE numbers as integers: in [0, 1] both have the same order."""
    return scores.view(f"u{scores.dtype.itemsize}")


def _name_a_bad_score(scores: BankScores) -> None:
    bad = np.argwhere(~((scores >= 0) & (scores <= 1)))
    if len(bad):  # none where all that stood out was -0.0
        head, image, column = bad[0]
        raise ResultsError(
            f"a score of {scores[head, image, column]} (head {head}, image {image}, class {column})",
            "Scores lie in [0, 1]: apply the sigmoid or softmax first",
        )


def blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Cut k heads and c classes of `shape` (k, n, c) into parts of about BLOCK scores: (heads, classes)."""
    k, n, c = shape
    classes = max(1, min(c, BLOCK // n))
    heads = max(1, BLOCK // (n * classes))
    for head in range(0, k, heads):
        for first in range(0, c, classes):
            yield slice(head, head + heads), slice(first, first + classes)


@dataclass(frozen=True, eq=False)
class Curve:
    """The m distinct scores of k heads and c classes: a stretch for each (head, class), ascending within.

    value: (m,) the scores. positives, negatives: (m,) images of the class, and others, with that score.
    start: (k * c,) the place at which each (head, class)'s stretch begins. shape: (k, c).
    """

    value: NDArray[np.float64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    start: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, scores: BankScores, labels: Labels) -> "Curve":
        """One sort of scores (k, n, c) that `check_scores` has passed; labels (n, c).

        A score in [0, 1] leaves the top bit of its bytes free, so label and score share one integer
        key: sorting needs no index array, and keys of 16 bits are sorted by radix.
        """
        k, n, c = scores.shape
        keys = np.ascontiguousarray(_bits(scores).transpose(0, 2, 1)) << 1 | labels.T
        keys.sort(axis=-1, kind="stable" if keys.itemsize == 2 else None)
        flat = keys.reshape(-1)
        bits = flat >> 1
        first = np.empty(flat.size, dtype=np.bool_)
        np.not_equal(bits[1:], bits[:-1], out=first[1:])
        first[::n] = True
        places = np.flatnonzero(first)
        ends = np.append(places[1:], flat.size)
        positives = np.diff(np.cumsum(flat & 1, dtype=np.int64)[ends - 1], prepend=0)
        return cls(
            value=bits[places].view(scores.dtype).astype(np.float64),
            positives=positives,
            negatives=ends - places - positives,
            start=np.searchsorted(places, np.arange(0, flat.size, n)),
            shape=(k, c),
        )

    def sum(self, amounts: NDArray[Any]) -> NDArray[Any]:
        """(m,) -> (k, c): the sum over each stretch."""
        return np.add.reduceat(amounts, self.start).reshape(self.shape)

    def spread(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """(k, c) -> (m,): a number a head and class, repeated along its stretch."""
        return np.repeat(numbers.reshape(-1), np.diff(self.start, append=self.value.size))

    def from_here_up(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m,) -> (m,): the count at each score and all higher ones of the stretch."""
        below = np.cumsum(counts) - counts
        stretch_ends = below[self.start].reshape(self.shape) + self.sum(counts)
        return self.spread(stretch_ends) - below


def places(scores: BankScores) -> NDArray[np.int64]:
    """scores (k, n, c), as `Curve.of` takes them -> (k, n, c): the number of each one's distinct score.

    An order instead of a search in `Curve.value`: a search jumps about in memory, nine times slower.
    """
    keys = np.ascontiguousarray(_bits(scores).transpose(0, 2, 1)) << 1
    order = np.argsort(keys, axis=-1)
    ordered = np.take_along_axis(keys, order, axis=-1)
    first = np.ones(keys.shape, dtype=np.bool_)
    np.not_equal(ordered[..., 1:], ordered[..., :-1], out=first[..., 1:])
    found = np.empty(keys.shape, np.int64)
    np.put_along_axis(found, order, first.cumsum().reshape(keys.shape) - 1, axis=-1)
    return found.transpose(0, 2, 1)
