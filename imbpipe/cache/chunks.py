"""The features of one file, chunk by chunk: read around HDF5, so that many threads can, and verified."""

import os
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

BLOCK = 32
"""Rows that are read together at least; a chunk of several is a whole number of them."""
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
    """An open file; it stays the one that was opened, also where another takes its name.

    It is read and verified in blocks of BLOCK rows, so that rows that lie together can be trained on apart.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._width = layout.shape[1] * layout.dtype.itemsize
        self._crcs: NDArray[np.int64] = np.full(-(-layout.shape[0] // BLOCK), -1)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)

    def first(self, start: int, rows: int) -> NDArray[Any]:
        """(m, d) as stored: up to `rows` rows from `start` on, both whole chunks, for the first time.

        Later readings must give the same. Raises StoreError: they cannot be read.
        """
        stop = min(start + rows, self.layout.shape[0])
        found = [
            self._read(at, min(self.layout.rows, stop - at)) for at in range(start, stop, self.layout.rows)
        ]
        raw = np.concatenate(found)
        for at in range(start, stop, BLOCK):
            self._crcs[at // BLOCK] = zlib.crc32(
                raw[(at - start) * self._width :][: BLOCK * self._width].data
            )
        return raw.view(self.layout.dtype).reshape(stop - start, -1)

    def read(self, block: int) -> NDArray[Any]:
        """(rows, d) as stored. Raises StoreError: it cannot be read, or holds other bytes than at first."""
        start = block * BLOCK
        rows = min(BLOCK, self.layout.shape[0] - start)
        raw = self._read(start, rows)
        if zlib.crc32(raw.data) != self._crcs[block]:
            raise damaged(self.path, f"rows {start} to {start + rows - 1} changed since the file was opened")
        return raw.view(self.layout.dtype).reshape(rows, -1)

    def _read(self, start: int, rows: int) -> NDArray[np.uint8]:
        """The bytes of rows of one chunk."""
        chunk, within = divmod(start, self.layout.rows)
        raw = np.empty(rows * self._width, np.uint8)
        what = f"rows {start} to {start + rows - 1} cannot be read"
        try:
            size = os.preadv(self._file, [raw.data], int(self.layout.offsets[chunk]) + within * self._width)
        except OSError as error:
            raise damaged(self.path, f"{what}: {error.strerror}") from error
        if size < len(raw):
            raise damaged(self.path, what)
        return raw


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
