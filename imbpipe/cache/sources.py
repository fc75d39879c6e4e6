"""Features that another program made: where its numbers lie, and what it calls each row."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.clip_retrieval import IMAGES, NAMES
from imbpipe.datasets.parquet import read_parquet
from imbpipe.datasets.table import Table, read_delimited
from imbpipe.errors import StoreError
from imbpipe.types import Features, Rows

NAME_COLUMNS = ("image_path", "id", "key", "image", "image_id", "filename", "file_name", "path")
"""Of a table beside the features, the first of these that is there says what a row is called."""

_FLOATS = ("float16", "float32", "float64")
BLOCK_ROWS = 4096
CLOSE_TO_ONE = 2e-3
"""How far from 1 the length of a row may be that was brought to length 1 and then to float16."""


@dataclass(frozen=True, eq=False)
class Source:
    """n rows in several files, one behind the other.

    path: as the user gave it. files: of the shards. shards: (m, d) each, left on the disk. names: n.
    """

    path: Path
    layout: str
    files: tuple[Path, ...]
    shards: tuple[NDArray[Any], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dim(self) -> int:
        return int(self.shards[0].shape[1])

    @property
    def dtype(self) -> str:
        return str(self.shards[0].dtype)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Row numbers behind the last of each shard."""
        return np.cumsum([len(shard) for shard in self.shards])

    def place(self, row: int) -> str:
        """Where a row lies, in the words of an error."""
        shard = int(np.searchsorted(self.ends, row, side="right"))
        return f"{self.files[shard]}, row {row - (self.ends[shard] - len(self.shards[shard]))}"

    def rows(self, wanted: Rows) -> Features:
        """(b, d) of those rows. Raises StoreError: a value is not finite, also not as float32."""
        found = np.empty((len(wanted), self.dim), np.float32)
        shard_of = np.searchsorted(self.ends, wanted, side="right")
        with np.errstate(over="ignore"):
            for number in np.unique(shard_of):
                own = shard_of == number
                start = self.ends[number] - len(self.shards[number])
                found[own] = self.shards[number][wanted[own] - start]
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            row = int(wanted[bad[0]])
            raise StoreError(
                f"{self.place(row)} ({self.names[row]!r}): a value is NaN, infinite or beyond float32",
                "Mend or leave out that row",
            )
        return found

    @cached_property
    def sha256(self) -> str:
        """Over all values and names, hexadecimal; the order of the files counts, their names do not."""
        digest = hashlib.sha256(json.dumps([self.dtype, self.dim, self.names]).encode())
        for block in self._blocks():
            digest.update(block.data.cast("B"))
        return digest.hexdigest()

    @cached_property
    def normalised(self) -> bool:
        """Whether every row has length 1 to float16's precision, but for rows of zeros."""
        return all(map(_of_length_1, self._blocks()))

    def _blocks(self) -> Iterator[NDArray[Any]]:
        for shard in self.shards:
            for start in range(0, len(shard), BLOCK_ROWS):
                yield np.ascontiguousarray(shard[start : start + BLOCK_ROWS])


def _of_length_1(rows: NDArray[Any]) -> bool:
    length = np.linalg.norm(rows.astype(np.float64), axis=1)
    return bool(np.all((np.abs(length - 1) < CLOSE_TO_ONE) | (length == 0)))


def read_source(path: Path, *, ids: Path | None = None, id_column: str | None = None) -> Source:
    """Features in clip-retrieval's folder, or in a .npy file with a file of ids.

    ids: of a .npy file: a .txt with an id a line, a .json with a list or with a member "ids", or a table;
        None: the .json or .ids.txt of the same name, as `imbpipe cache export` writes them.
    id_column: of tables; None: the first of NAME_COLUMNS.
    Raises StoreError: what is missing, or what does not fit what, and in which file.
    """
    if path.is_dir():
        return _folder(path, id_column)
    if path.suffix != ".npy" or not path.is_file():
        what = "is no .npy file" if path.exists() else "is not there"
        raise StoreError(
            f"{path} {what}", f"Name a .npy file, or a folder of clip-retrieval with {IMAGES}/ and {NAMES}/"
        )
    shard = _shard(path)
    file = ids or _ids_beside(path)
    names = _names(file, id_column)
    _check_rows(path, shard, file, names)
    return Source(path, "npy", (path,), (shard,), tuple(names))


def _folder(path: Path, id_column: str | None) -> Source:
    files = sorted((path / IMAGES).glob("*.npy"))
    tables = [path / NAMES / f"{NAMES}{file.stem.removeprefix(IMAGES)}.parquet" for file in files]
    if not files:
        raise StoreError(
            f"{path} holds no {IMAGES}/*.npy", "Name the folder that clip-retrieval wrote its features into"
        )
    missing = next((table for table in tables if not table.is_file()), None)
    if missing is not None:
        raise StoreError(f"there is no {missing}", f"It says what the rows of {IMAGES}/ are; copy it there")
    shards = tuple(map(_shard, files))
    for file, shard in zip(files, shards, strict=True):
        if (shard.shape[1], shard.dtype) != (shards[0].shape[1], shards[0].dtype):
            raise StoreError(
                f"{file} holds {shard.shape[1]} columns of {shard.dtype}, "
                f"{files[0]} {shards[0].shape[1]} of {shards[0].dtype}",
                "Keep what one encoder made",
            )
    names = [_names(table, id_column) for table in tables]
    for file, shard, table, own in zip(files, shards, tables, names, strict=True):
        _check_rows(file, shard, table, own)
    return Source(path, "clip-retrieval", tuple(files), shards, tuple(name for own in names for name in own))


def _shard(file: Path) -> NDArray[Any]:
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {file}: {error}", "Write it with numpy.save") from None
    if found.ndim != 2 or not found.size:
        raise StoreError(f"{file} is of shape {found.shape}", "It holds a row of numbers an image")
    if found.dtype.name not in _FLOATS:
        raise StoreError(
            f"{file} holds {found.dtype}, not numbers of floating point", f"Save it as {', '.join(_FLOATS)}"
        )
    return found


def _ids_beside(path: Path) -> Path:
    beside = [path.with_suffix(".json"), path.with_name(f"{path.stem.removesuffix('.vectors')}.ids.txt")]
    for file in beside:
        if file.is_file():
            return file
    raise StoreError(f"{path} does not say which row is which image", "Pass --ids with a file of their ids")


def _names(file: Path, id_column: str | None) -> list[str]:
    if file.suffix.lower() in (".csv", ".tsv", ".parquet"):
        return _column(read_parquet(file) if file.suffix == ".parquet" else read_delimited(file), id_column)
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix != ".json":
            return text.splitlines()
        found = json.loads(text)
        names = found["ids"] if isinstance(found, dict) else found
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"cannot read the ids in {file}: {error}", "Write an id a line") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StoreError(f"{file} holds no list of texts", "Write an id a line")
    return names


def _column(table: Table, id_column: str | None) -> list[str]:
    usual = (name for name in NAME_COLUMNS if name in table.columns)
    column = id_column or next(usual, None)
    if column is None:
        raise StoreError(
            f"{table.path} has no column known to name images, only {', '.join(map(repr, table.columns))}",
            "Pass --id-column NAME",
        )
    return table.column(column, "--id-column")


def _check_rows(file: Path, shard: NDArray[Any], ids: Path, names: Sequence[str]) -> None:
    if len(shard) != len(names):
        raise StoreError(
            f"{file} holds {len(shard):,} rows and {ids} names {len(names):,}",
            "They have to be of the same run",
        )
