"""The features of one file, chunk by chunk: read around HDF5, so that many threads can, and verified."""

import os
import threading
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.layout import CHUNK_ROWS, damaged

if TYPE_CHECKING:
    import h5py

CHECKSUM = 4
"""Bytes of fletcher32 behind a chunk."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the chunks of `features` lie, by their offsets in bytes. shape: (n, d). rows: of a chunk."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    rows: int
    offsets: NDArray[np.int64]


class Chunks:
    """An open file; it stays the one that was opened, also where another takes its name."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._crcs: NDArray[np.int64] = np.full(len(layout.offsets), -1)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._own = threading.local()
        weakref.finalize(self, os.close, self._file)

    def read(self, chunk: int) -> NDArray[Any]:
        """(rows, d) as stored, valid until the thread's next call.

        Raises StoreError: it cannot be read, or holds other bytes than at the first reading.
        """
        raw = self._buffer()
        first = chunk * self.layout.rows
        last = min(first + self.layout.rows, self.layout.shape[0]) - 1
        try:
            size = os.preadv(self._file, [raw.data], int(self.layout.offsets[chunk]))
        except OSError as error:
            raise damaged(self.path, f"rows {first} to {last} cannot be read: {error.strerror}") from error
        crc = zlib.crc32(raw.data)
        if size < len(raw) or self._crcs[chunk] not in (-1, crc):
            raise damaged(self.path, f"rows {first} to {last} changed since the file was opened")
        self._crcs[chunk] = crc
        return raw[:-CHECKSUM].view(self.layout.dtype).reshape(self.layout.rows, -1)[: last - first + 1]

    def block(self, start: int, rows: int) -> NDArray[Any]:
        """(m, d) as stored: up to `rows` rows from `start` on, both whole chunks. Raises StoreError."""
        stop = min(start + rows, self.layout.shape[0])
        out = np.empty((stop - start, self.layout.shape[1]), self.layout.dtype)
        for first in range(start, stop, self.layout.rows):
            found = self.read(first // self.layout.rows)
            out[first - start : first - start + len(found)] = found
        return out

    def _buffer(self) -> NDArray[np.uint8]:
        if not hasattr(self._own, "raw"):
            size = self.layout.rows * self.layout.shape[1] * self.layout.dtype.itemsize
            self._own.raw = np.empty(size + CHECKSUM, np.uint8)
        return self._own.raw


def layout_of(features: "h5py.Dataset", path: Path) -> Layout:
    """Raises StoreError: a chunk is not where HDF5 says, or not stored as this store writes."""
    rows = min(CHUNK_ROWS, len(features))
    size = rows * features.shape[1] * features.dtype.itemsize
    offsets = np.full(-(-len(features) // rows), -1)

    def note(chunk: Any) -> None:
        if chunk.filter_mask == 0 and chunk.size == size + CHECKSUM:
            offsets[chunk.chunk_offset[0] // rows] = chunk.byte_offset

    if features.chunks == (rows, features.shape[1]):
        features.id.chunk_iter(note)
    if (offsets < 0).any():
        raise damaged(path, f"rows from {int(offsets.argmin()) * rows} on are stored otherwise than here")
    return Layout(features.shape, features.dtype, rows, offsets)
