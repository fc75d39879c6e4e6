"""Saved scores as a table: a column for each array and class, named ARRAY:CLASS."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.parquet import read_parquet
from imbpipe.datasets.table import Table, read_delimited
from imbpipe.errors import ResultsError

_BITS = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays (n, c) of a table, and `class_names`, in the order of the `labels:` columns.

    Raises ResultsError: a class that an array lacks, a cell that is no number. DatasetError: a file that
    cannot be read as a table.
    """
    table = read_parquet(path) if path.suffix.lower() == ".parquet" else read_delimited(path)
    classes: dict[str, list[str]] = {}
    for column in table.columns:
        array, colon, name = column.partition(":")
        if colon and (array in ("labels", "scores") or array.startswith("scores_")):
            classes.setdefault(array, []).append(name)
    if "labels" not in classes:
        raise ResultsError(
            f"{path} has no column of labels, only {', '.join(map(repr, table.columns))}",
            "Name the columns labels:CLASS and scores:CLASS, or scores_NAME:CLASS for each of several runs",
        )
    names = classes["labels"]
    for array, own in classes.items():
        differ = sorted(set(names) ^ set(own))
        if differ:
            lacking = array if differ[0] in names else "labels"
            raise ResultsError(
                f"{path} has no column '{lacking}:{differ[0]}'", "Every array needs a column for every class"
            )
    arrays = {array: _numbers(table, [f"{array}:{name}" for name in names]) for array in classes}
    return {**arrays, "class_names": np.array(names, dtype=str)}


def _numbers(table: Table, columns: list[str]) -> NDArray[np.float64]:
    return np.array([_column(table, column) for column in columns]).T


def _column(table: Table, column: str) -> list[float]:
    numbers = []
    for row, cell in enumerate(table.column(column, "column")):
        try:
            numbers.append(_BITS[cell] if cell in _BITS else float(cell))
        except ValueError:
            raise ResultsError(
                f"{table.place(row)}: {cell!r} in column {column!r} is no number", "Give a number"
            ) from None
    return numbers
