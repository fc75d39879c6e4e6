"""A pandas DataFrame of image paths and labels."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.images import check_unique
from imbpipe.datasets.labels import task_of
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.parquet import text_columns
from imbpipe.datasets.table import Table
from imbpipe.datasets.tabular import groups_of, image_column_of, labels_of
from imbpipe.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

PLACE = Path("the DataFrame")
"""How messages call it; rows are counted from 0, as `iloc` does."""


def read_frame(frame: "pd.DataFrame", options: ReadOptions, *, name: str, folder: Path) -> Dataset:
    """One row an image: a column of paths, and labels as `read_tabular` takes them.

    A cell of labels may be a list, a tuple or a set. name: of the data set, under which its features are
    kept. folder: that relative paths are relative to.
    Raises DatasetError: see `read_tabular`; an image that is not there (unless `allow_missing`).
    """
    import pyarrow

    if not len(frame):
        raise DatasetError(f"{PLACE} has no row", "Add a row an image")
    plain = frame.map(_plain)
    plain.columns = plain.columns.map(str)
    try:
        columns, cells = text_columns(pyarrow.Table.from_pandas(plain, preserve_index=False))
    except pyarrow.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"cannot read {PLACE}: {reason}", "Keep one kind of value in a column") from None
    rows = [list(row) for row in zip(*cells, strict=True)]
    table = Table(PLACE, tuple(columns), rows, list(range(len(rows))), unit="row")
    column = image_column_of(table, options)
    ids = table.column(column, "image_column")
    check_unique(ids, table.place)
    labels, names = labels_of(table, column, options)
    paths = [folder / given for given in ids]
    there = np.array([bool(given) and path.is_file() for given, path in zip(ids, paths, strict=True)])
    notes = _missing(table, ids, there, options)
    kept = np.flatnonzero(there)
    groups = groups_of(table, options)
    return Dataset(
        name,
        tuple(ids[row] for row in kept),
        tuple(paths[row] for row in kept),
        labels[kept],
        names,
        task_of(labels),
        notes=notes,
        groups=tuple(groups[row] for row in kept) if groups else (),
    )


def _plain(cell: Any) -> Any:
    if isinstance(cell, os.PathLike):
        return os.fspath(cell)
    return (
        sorted(cell) if isinstance(cell, set | frozenset) else list(cell) if isinstance(cell, tuple) else cell
    )


def _missing(table: Table, ids: list[str], there: np.ndarray, options: ReadOptions) -> tuple[str, ...]:
    if there.all():
        return ()
    row = int(np.flatnonzero(~there)[0])
    fact = f"{np.count_nonzero(~there):,} of {len(ids):,} images are not there (first {ids[row]!r})"
    if not options.allow_missing or not there.any():
        raise DatasetError(
            f"{table.place(row)}: {fact}", "Give the folder they lie in, or leave such rows out"
        )
    return (f"left out: {fact}",)
