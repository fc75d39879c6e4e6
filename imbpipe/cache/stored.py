"""Features that stay in their file because memory is smaller: rows are read when they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.chunks import BLOCK, Chunks
from imbpipe.cache.layout import decode_text
from imbpipe.errors import StoreError
from imbpipe.types import Features, FeatureSource, Rows

PASS = 1024
"""Rows of a pass over stored features that are in memory together."""


@dataclass(frozen=True)
class Mapped:
    """function: of rows (m, d), giving (m, dimension)."""

    function: Callable[[Features], Features]
    dimension: int


class StoredFeatures:
    """(n, d) float32: all rows of a file, or some of them, in any order.

    memory: bytes that may be taken for them at a time. Reading raises StoreError: the file's bytes changed.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, chunks: Chunks, memory: int, rows: Rows | None = None, mapped: "Mapped | None" = None
    ) -> None:
        self.memory = memory
        self._chunks, self._rows, self._mapped = chunks, rows, mapped

    def __len__(self) -> int:
        return self._chunks.layout.shape[0] if self._rows is None else len(self._rows)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self._chunks.layout.shape[1] if self._mapped is None else self._mapped.dimension

    @property
    def nbytes(self) -> int:
        """What they would take in memory."""
        return len(self) * self.shape[1] * self.dtype.itemsize

    def subset(self, rows: Rows) -> "StoredFeatures":
        """Some of the rows, none read yet."""
        return StoredFeatures(self._chunks, self.memory, self._places(rows), self._mapped)

    def joined(self, *others: "StoredFeatures") -> "StoredFeatures":
        """These rows, then others of the same file."""
        rows = [part._places(np.arange(len(part))) for part in (self, *others)]
        return StoredFeatures(self._chunks, self.memory, np.concatenate(rows), self._mapped)

    def mapped(self, function: Callable[[Features], Features], dimension: int) -> "StoredFeatures":
        """What `function` makes of rows (m, d) as they are read: (m, dimension). Memory to that measure."""
        memory = self.memory * dimension // self.shape[1]
        return StoredFeatures(self._chunks, memory, self._rows, Mapped(function, dimension))

    def block_of(self, rows: Rows) -> Rows:
        """(m,) the block of the file that each row lies in."""
        return self._places(rows) // BLOCK

    def __getitem__(self, rows: Rows | slice) -> Features:
        """The rows, read."""
        chosen = np.arange(len(self))[rows]
        out = np.empty((len(chosen), self.shape[1]), self.dtype)
        self.read_into(chosen, out)
        return out

    def read_into(self, rows: Rows, out: Features) -> None:
        """Fill `out` (m, d) with the rows, each block read once."""
        block, within = np.divmod(self._places(rows), BLOCK)
        order = np.argsort(block, kind="stable")
        starts = np.flatnonzero(np.diff(block[order], prepend=-1))
        for places in np.split(order, starts[1:]) if len(order) else ():
            found = self._chunks.read(int(block[places[0]]))
            if self._mapped is not None:
                out[places] = self._mapped.function(found[within[places]].astype(self.dtype))
            elif places[-1] - places[0] == len(places) - 1:  # in the file's order: one copy without an index
                found = found.astype(self.dtype, copy=False)
                np.take(found, within[places], 0, out[places[0] : places[-1] + 1], "clip")
            else:
                out[places] = found[within[places]]

    def blocks(self) -> Iterator[tuple[Rows, Features]]:
        """One pass in the order of the file: (m,) numbers of rows, and the rows (m, d); each row once."""
        order = np.arange(len(self)) if self._rows is None else np.argsort(self._rows, kind="stable")
        for start in range(0, len(order), PASS):
            some = order[start : start + PASS]
            yield some, self[some]

    def _places(self, rows: Rows) -> NDArray[np.int64]:
        """Where in the file."""
        return rows if self._rows is None else self._rows[rows]


def select(features: FeatureSource, rows: Rows) -> FeatureSource:
    """The rows: of an array a copy, of stored features none is read yet."""
    return features.subset(rows) if isinstance(features, StoredFeatures) else features[rows]


def joined(*parts: FeatureSource) -> FeatureSource:
    """The rows of all parts; of stored features, which are of one file and mapped alike, none is read yet."""
    stored = [part for part in parts if isinstance(part, StoredFeatures)]
    return stored[0].joined(*stored[1:]) if stored else np.concatenate([part[:] for part in parts])


def blocks(features: FeatureSource, rows: int = PASS) -> Iterator[tuple[Rows | slice, Features]]:
    """All rows once, with their numbers. rows: at a time, of an array; of that these are views, in order."""
    if isinstance(features, StoredFeatures):
        yield from features.blocks()
        return
    for start in range(0, len(features), rows):
        some = slice(start, start + rows)
        yield some, features[some]


def check_finite(features: NDArray[Any], ids: Sequence[str] | NDArray[np.bytes_], first: int = 0) -> None:
    """Raises StoreError: a feature is NaN or infinite. first: the number of the first row."""
    for start in range(0, len(features), PASS):
        finite = np.isfinite(features[start : start + PASS])
        if not finite.all():
            row, column = np.argwhere(~finite)[0] + (start, 0)
            name = decode_text(ids[row]) if isinstance(ids[row], bytes) else ids[row]
            raise StoreError(
                f"the features of {name!r} (row {first + row}) are not finite: {features[row, column]} in "
                f"dimension {column}",
                "Remove the set (imbpipe cache list says where it lies) and extract again",
            )
