"""How several workers share out the images of a data set."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def batches_of(plan: StorePlan, wanted: NDArray[np.bool_], worker: Worker) -> tuple[Batch, ...]:
    """The worker's batches with at least one wanted row. wanted: (n,)."""
    batches = []
    for number, start in enumerate(range(0, len(plan), plan.batch_size)):
        flags = wanted[start : start + plan.batch_size]
        if number % worker.count == worker.number and flags.any():
            rows = range(start, start + len(flags))
            paths = tuple(Path(plan.paths[row]) for row in rows)
            batches.append(Batch(number, tuple(rows), paths, tuple(flags.tolist())))
    return tuple(batches)


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
