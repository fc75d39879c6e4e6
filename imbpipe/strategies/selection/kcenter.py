"""k-center: no image of the class far from a kept one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.selection.order import order_of
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, Rows, TrainingSet

AHEAD = 64
"""Images whose distances are computed together."""


@STRATEGIES.add("k-center")
def k_center(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep images so that every image of a class has a kept one near.

    Greedy: first the image nearest to the class's mean (unless other classes brought some), then each
    time the image farthest from all kept ones; so the largest distance is at most twice the least
    possible. Distances are Euclidean between features scaled to length 1. The same images for every seed;
    classes are filled up as `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Sener & Savarese (2018), "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach", algorithm 1; Gonzalez (1985) for the bound.
    """
    return select("k-center", data, rng, threshold)


@criterion("k-center")
def by_k_center(data: TrainingSet, rng: Generator) -> Pick:
    x = unit_features(data)

    def pick(pool: Rows, kept: Rows, count: int) -> Rows:
        own, others = x[pool], x[kept]
        order = order_of(data, "k-center", pool, kept, lambda: _farthest_first(own, others))
        return pool[order.first(count)]

    return pick


def _farthest_first(own: Features, others: Features) -> Iterator[int]:
    """Places in `own` (n, d), one after the other. others: (m, d) that are kept already."""
    square = np.einsum("nd,nd->n", own, own)
    products = Products(own)
    far = _distance(own, square, others)
    centre = int(far.argmax()) if len(others) else int((square - 2 * (own @ own.mean(0))).argmin())
    yield centre
    for _ in range(1, len(own)):
        apart = square + square[centre] - 2 * products.of(centre, far)
        np.minimum(far, np.maximum(apart, 0), out=far)
        far[centre] = -1
        centre = int(far.argmax())
        yield centre


def _distance(own: Features, square: NDArray[np.float32], others: Features) -> NDArray[np.float32]:
    """(n,) the square of each row's distance to the nearest of `others`; infinite where there are none."""
    far = np.full(len(own), np.inf, np.float32)
    for start in range(0, len(others), AHEAD):
        some = others[start : start + AHEAD]
        apart = np.einsum("nd,nd->n", some, some)[:, None] - 2 * some @ own.T
        np.minimum(far, square + apart.min(0), out=far)
    return far


class Products:
    """Products of one row of x (n, d) with all rows, row after row.

    Those of the rows likeliest to be asked for next are computed along: the features are read from memory
    once for all of them, and reading is what takes the time.
    """

    def __init__(self, x: Features) -> None:
        self._x = x
        self._known: dict[int, NDArray[np.float32]] = {}

    def of(self, row: int, priority: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(n,) products with `row`. priority: (n,) the higher, the likelier to be asked for soon."""
        if row not in self._known:
            rows = _highest(priority, row)
            self._known = dict(zip(rows.tolist(), self._x[rows] @ self._x.T, strict=True))
        return self._known[row]


def _highest(priority: NDArray[np.floating[Any]], row: int) -> Rows:
    if len(priority) <= AHEAD:
        return np.arange(len(priority))
    return np.union1d(np.argpartition(priority, -AHEAD)[-AHEAD:], [row])
