"""How much of stored features is in memory while heads train on them."""

import math
from dataclasses import dataclass

from imbpipe.cache.stored import StoredFeatures
from imbpipe.errors import UsageError, as_size

SHARE = 0.6
"""Of the memory for features, what buffers may take; the rest is for scoring and for reading itself."""
LEAST = 4096
"""Rows of a part at least: 128 blocks."""
BATCHES = 4
"""And so many batches, so that a batch never takes from more than two parts."""
KEPT = 0.25
"""Of the rows in memory, those of the rarest classes that stay there, at most."""


@dataclass(frozen=True, eq=False)
class Buffered:
    """Stored features, and what is in memory of them.

    workers: slices trained side by side. rows: of each that are in memory at a time.
    """

    features: StoredFeatures
    workers: int
    rows: int


def buffered(features: StoredFeatures, workers: int, batch: int) -> Buffered:
    """As much as the memory allows for at most `workers`. Raises UsageError: it is too little for one."""
    row = features.dtype.itemsize * features.shape[1]
    least = math.ceil(2 * max(LEAST, BATCHES * batch) / (1 - KEPT)) * row
    given = int(SHARE * features.memory)
    fitting = min(workers, given // least)
    if not fitting:
        need = math.ceil(min(least / SHARE, features.nbytes) / 1e6)
        raise UsageError(
            f"{as_size(features.memory)} of memory are too few for features of {features.shape[1]} "
            "dimensions, even in blocks",
            f"Give it --memory {need}MB or more",
        )
    return Buffered(features, fitting, given // (fitting * row))
