"""What extraction needs of the place it writes to; the store implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imbpipe.types import Features


@dataclass(frozen=True)
class Batch:
    """A fixed set of rows that is always encoded together, so that a resumed run equals an unbroken one.

    number: of the batch. rows: row numbers, in order. paths: the image of each row.
    wanted: of each row, whether it still has to be encoded; the other places stay empty, so that
        every row is computed at the same place of a batch of the same size whenever it is computed.
    """

    number: int
    rows: tuple[int, ...]
    paths: tuple[Path, ...]
    wanted: tuple[bool, ...]


class FeatureSink(Protocol):
    """One worker's side of the store. Safe to use from one thread."""

    batch_size: int
    """Rows of a full batch; the last one may hold fewer."""

    pending: Sequence[Batch]
    """Batches with at least one wanted row."""

    @property
    def committed(self) -> int:
        """Rows that are safe on disk from this worker's run (what a progress bar may count)."""

    def write(self, rows: NDArray[np.int64], digests: NDArray[np.uint8], features: Features) -> None:
        """Hand over encoded rows: rows (b,), SHA-256 of each image's bytes (b, 32), features (b, d).

        Raises StoreError: a value is not finite, a dimension differs, the disk is full.
        """

    def quarantine(self, row: int, reason: str, digest: bytes) -> None:
        """Set one image aside: `reason` in words, `digest` of its bytes (empty where unreadable)."""

    def commit(self) -> None:
        """Return once everything handed over is safe on disk."""
