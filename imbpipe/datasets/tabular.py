"""A table that names images and their labels, beside the images."""

from collections.abc import Callable, Sequence, Set
from pathlib import Path

import numpy as np

from imbpipe.datasets.cells import separator_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.images import check_ids, find_images
from imbpipe.datasets.labels import encode_tags, task_of
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.parquet import read_parquet
from imbpipe.datasets.table import Table, read_delimited
from imbpipe.errors import DatasetError
from imbpipe.types import Labels

SUFFIXES = (".csv", ".tsv", ".parquet")

IMAGE_COLUMNS = (
    "image", "image_name", "image_path", "image_id", "filename", "file_name", "filepath", "file", "path",
    "img", "id",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "labels", "tag", "tags", "class", "classes", "class_name", "category", "categories", "target",
)  # fmt: skip

_BITS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


def read_tabular(path: Path, options: ReadOptions) -> Dataset:
    """One row an image: a column of names, relative to the table's folder, and labels.

    Labels are one column, with one label a cell or several (see `separator_of`), or one column of 0 and 1
    for each class: all the columns that have a name, beside the image's and the group's. Single-label where
    every row has exactly one.

    Raises DatasetError: see `read_delimited`, `read_parquet`, `encode_tags`, `find_images`; no column that
    is known to name images or labels.
    """
    return read_table(
        read_parquet(path) if path.suffix.lower() == ".parquet" else read_delimited(path), options
    )


def read_table(table: Table, options: ReadOptions) -> Dataset:
    """As `read_tabular`, of a table that was read."""
    path = table.path
    image_column = image_column_of(table, options)
    ids = [name.removeprefix("./") for name in table.column(image_column, "--image-column")]
    check_ids(ids, table.place)
    labels, names = labels_of(table, image_column, options)
    found = find_images(path.parent, ids, table.place, options)
    kept = tuple(ids[row] for row in found.rows)
    name = path.resolve().stem
    groups = groups_of(table, options)
    return Dataset(
        name,
        kept,
        found.images,
        labels[found.rows],
        names,
        task_of(labels),
        notes=found.notes,
        groups=tuple(groups[row] for row in found.rows) if groups else (),
    )


def image_column_of(table: Table, options: ReadOptions) -> str:
    """The column that names the images. Raises DatasetError: none is known to."""
    column = options.image_column or _usual(table, IMAGE_COLUMNS)
    if column is None:
        raise _no_column(table, "the images", "--image-column", IMAGE_COLUMNS)
    return column


def labels_of(table: Table, image_column: str, options: ReadOptions) -> tuple[Labels, tuple[str, ...]]:
    """(n, c) labels and the c class names. Raises DatasetError: see `read_tabular`; one class only."""
    labels, names = _labels(table, image_column, options)
    if len(names) < 2 and labels.all():
        raise DatasetError(
            f"{table.path} names one class only: {', '.join(names)}", "There has to be one to tell it from"
        )
    return labels, names


def groups_of(table: Table, options: ReadOptions) -> list[str]:
    """The group of each row; empty where no column names any. Raises DatasetError: a row without."""
    if options.group_column is None:
        return []
    cells = table.column(options.group_column, "--group-column")
    check_groups(cells, options.group_column, table.place)
    return cells


def check_groups(cells: Sequence[str], column: str, place: Callable[[int], str]) -> None:
    """place: where a row stands, in words. Raises DatasetError: a row without a group."""
    for row, cell in enumerate(cells):
        if not cell:
            raise DatasetError(
                f"{place(row)}: no group in column {column!r}",
                "Give an image that belongs to no other a name of its own there",
            )


def _labels(table: Table, image_column: str, options: ReadOptions) -> tuple[Labels, tuple[str, ...]]:
    column = options.label_column or _usual(table, LABEL_COLUMNS)
    if column is None:
        return _columns_of_bits(table, {image_column, options.group_column})
    cells = table.column(column, "--label-column")
    separator = options.label_separator
    if separator is None:
        separator = separator_of(cells, column, str(table.path))
    return encode_tags(cells, separator, table.place, options)


def _columns_of_bits(table: Table, others: Set[str | None]) -> tuple[Labels, tuple[str, ...]]:
    names = tuple(name for name in table.columns if name and name not in others)
    if not names:
        raise _no_column(table, "the labels", "--label-column", LABEL_COLUMNS)
    columns = []
    for name in names:
        cells = [cell.lower() for cell in table.column(name, "--label-column")]
        wrong = next((row for row, cell in enumerate(cells) if cell not in _BITS), None)
        if wrong is not None:
            raise DatasetError(
                f"{table.place(wrong)}: {cells[wrong]!r} in column {name!r}, which should hold 0 or 1",
                f"Name the column of labels with --label-column ({', '.join(names)}), "
                "or leave one column of 0 and 1 a class",
            )
        columns.append([_BITS[cell] for cell in cells])
    return np.array(columns, bool).T, names


def _usual(table: Table, usual: tuple[str, ...]) -> str | None:
    by_name = {name.casefold(): name for name in table.columns}
    return next((by_name[name] for name in usual if name in by_name), None)


def _no_column(table: Table, holding: str, option: str, usual: tuple[str, ...]) -> DatasetError:
    return DatasetError(
        f"{table.path} has no column known to name {holding}, only {', '.join(map(repr, table.columns))}",
        f"Pass {option} NAME, or call it {usual[0]!r}",
    )
