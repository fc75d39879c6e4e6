"""Orders in which greedy criteria take images: a smaller number of images begins a larger one."""

from collections.abc import Callable, Iterator
from itertools import islice
from threading import Lock

import numpy as np

from imbpipe.strategies.selection.features import once
from imbpipe.types import Rows, TrainingSet


class Order:
    """Places in a pool, found as far as they are asked for and never twice."""

    def __init__(self, places: Iterator[int]) -> None:
        self._places, self._found = places, list[int]()
        self._lock = Lock()

    def first(self, count: int) -> Rows:
        """(count,) places."""
        with self._lock:
            self._found += islice(self._places, max(0, count - len(self._found)))
            return np.array(self._found[:count], np.int64)


def order_of(
    data: TrainingSet, criterion: str, pool: Rows, kept: Rows, places: Callable[[], Iterator[int]]
) -> Order:
    """The order that `places` gives, which must not hold on to `data`.

    Where nothing is kept beside the pool, all numbers of images asked of it, by any strategy, share it.
    """
    if len(kept):
        return Order(places())
    return once(data, ("order", criterion, pool.tobytes()), lambda: Order(places()))
