"""The labels of a Hugging Face data set, by what its features say of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.parquet import text_columns
from imbpipe.datasets.table import Table
from imbpipe.datasets.tabular import LABEL_COLUMNS, labels_of
from imbpipe.errors import DatasetError
from imbpipe.types import Labels


@dataclass(frozen=True, eq=False)
class ArrowLabels:
    """labels: (n, c). labelled: (n,) the rows to keep. notes: on those to leave out."""

    labels: Labels
    class_names: tuple[str, ...]
    labelled: NDArray[np.bool_]
    notes: tuple[str, ...] = ()


def labels_of_splits(
    name: str, splits: Mapping[str, Any], image_column: str, options: ReadOptions
) -> ArrowLabels:
    """Of all splits, one behind the other: a ClassLabel, a list of them, or what `read_tabular` takes.

    Classes have the names and the order that a ClassLabel gives them.
    A split in which every label is absent (null, or -1, as of hidden test labels) is left out.
    Raises DatasetError: no column known to hold labels, one of an unsuitable type, other features in
    one split than in another, a row without label (unless `allow_missing`).
    """
    import datasets

    first, *others = splits.values()
    if any(rows.features != first.features for rows in others):
        raise DatasetError(f"the splits of {name} have other columns each", "Name one: NAME:SPLIT")
    column = options.label_column or _usual(first)
    if column is not None and column not in first.features:
        raise DatasetError(
            f"{name} has no column {column!r}", f"Pass --label-column with one of {', '.join(first.features)}"
        )
    kind = first.features[column] if column else None
    item = getattr(kind, "feature", None)
    if column and isinstance(kind, datasets.ClassLabel):
        values = [[value] for rows in splits.values() for value in rows.with_format(None)[column]]
        return _numbered(name, splits, values, kind.names, options)
    if column and isinstance(item, datasets.ClassLabel):
        values = [value or [] for rows in splits.values() for value in rows.with_format(None)[column]]
        if options.empty_tags == "negative":
            return _hot(values, item.names)
        return _numbered(name, splits, values, item.names, options)
    return _textual(name, splits, column, image_column, options)


def _usual(rows: Any) -> str | None:
    import datasets

    usual = next((column for column in LABEL_COLUMNS if column in rows.features), None)
    kinds = {name: getattr(kind, "feature", kind) for name, kind in rows.features.items()}
    classes = [name for name, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)]
    return usual or (classes[0] if len(classes) == 1 else None)


def _numbered(
    name: str, splits: Mapping[str, Any], values: list[list[Any]], names: list[str], options: ReadOptions
) -> ArrowLabels:
    known = [[number for number in value if number is not None and number >= 0] for value in values]
    labelled = np.array([bool(value) for value in known])
    notes = []
    start = 0
    for split, rows in splits.items():
        own = slice(start, start + len(rows))
        start += len(rows)
        count = int((~labelled[own]).sum())
        if not count:
            continue
        row = int(np.argmin(labelled[own]))
        fact = (
            f"{count:,} of {len(rows):,} images of {name}, split {split!r}, have no label (first row {row})"
        )
        if count < len(rows) and not options.allow_missing:
            raise DatasetError(fact, "Label them, or pass --allow-missing to leave them out")
        notes.append(f"left out: {fact}")
    if not labelled.any():
        raise DatasetError(f"no image of {name} has a label", "Name another column with --label-column")
    return ArrowLabels(_hot(known, names).labels, tuple(names), labelled, tuple(notes))


def _hot(values: list[list[int]], names: list[str]) -> ArrowLabels:
    labels = np.zeros((len(values), len(names)), bool)
    labels[np.repeat(np.arange(len(values)), list(map(len, values))), [n for row in values for n in row]] = (
        True
    )
    return ArrowLabels(labels, tuple(names), np.ones(len(values), bool))


def _textual(
    name: str, splits: Mapping[str, Any], column: str | None, image_column: str, options: ReadOptions
) -> ArrowLabels:
    import pyarrow as pa

    tables = [rows.with_format("arrow")[:].drop_columns([image_column]) for rows in splits.values()]
    columns, cells = text_columns(pa.concat_tables(tables))
    if column is not None and column not in columns:
        kind = next(iter(splits.values())).features[column]
        raise DatasetError(
            f"the column {column!r} of {name} holds {kind}, which are no labels",
            "Name a column of ClassLabel, of text, or of lists of these with --label-column",
        )
    rows = [list(row) for row in zip(*cells, strict=True)]
    if not rows:
        raise DatasetError(f"{name} has no column of labels", "Pass --label-column NAME")
    table = Table(Path(name), tuple(columns), rows, list(range(len(rows))), unit="row")
    labels, names = labels_of(table, "", options)
    return ArrowLabels(labels, names, np.ones(len(rows), bool))
