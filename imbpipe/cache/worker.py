"""How several workers share out the images of a data set."""

import hashlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.plan import StorePlan
from imbpipe.cache.spec import Spec, canonical
from imbpipe.datasets.dataset import Dataset
from imbpipe.extract.sink import Batch


@dataclass(frozen=True)
class Worker:
    """Worker number `number` of `count`: it takes every batch k with k mod count = number."""

    number: int = 0
    count: int = 1


class PendingBatches(Sequence[Batch]):
    """A worker's batches with at least one wanted row, in order; each is made when it is asked for.

    Made beforehand, they would be most of what is in memory: every path once more.
    """

    def __init__(self, plan: StorePlan, wanted: NDArray[np.bool_], worker: Worker) -> None:
        """wanted: (n,)."""
        self._plan, self._wanted = plan, wanted
        numbers = np.unique(np.flatnonzero(wanted) // plan.batch_size)
        self._numbers = numbers[numbers % worker.count == worker.number]

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Batch: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Batch, ...]: ...
    def __getitem__(self, place: int | slice) -> Batch | tuple[Batch, ...]:
        if isinstance(place, slice):
            return tuple(self._batch(int(number)) for number in self._numbers[place])
        return self._batch(int(self._numbers[place]))

    def _batch(self, number: int) -> Batch:
        start = number * self._plan.batch_size
        rows = range(start, min(start + self._plan.batch_size, len(self._plan)))
        paths = tuple(Path(self._plan.paths[row]) for row in rows)
        return Batch(number, tuple(rows), paths, tuple(self._wanted[rows.start : rows.stop].tolist()))


def session_of(dataset: Dataset, encoder: str, spec: Spec, worker: Worker, batch_size: int) -> dict[str, Any]:
    """What a journal says of the process that writes it."""
    return {
        "spec": dict(spec),
        "dataset": dataset.name,
        "encoder": encoder,
        "worker": worker.number,
        "workers": worker.count,
        "batch_size": batch_size,
        "ids": hashlib.sha256(canonical(list(dataset.ids))).hexdigest(),
        "process": os.getpid(),
        "host": socket.gethostname(),
    }
