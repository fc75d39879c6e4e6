"""Splits of a Hugging Face data set as one data set with an official division."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.datasets.arrow_labels import labels_of_splits
from imbpipe.datasets.dataset import TRAIN, Dataset
from imbpipe.datasets.folder import PARTS
from imbpipe.datasets.images import first_five, is_image
from imbpipe.datasets.labels import task_of
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.tabular import check_groups
from imbpipe.datasets.unpack import unpacked
from imbpipe.errors import DatasetError, show


def of_splits(
    name: str, splits: Mapping[str, Any], folder: Path, options: ReadOptions, notes: tuple[str, ...] = ()
) -> Dataset:
    """splits: name -> datasets.Dataset. folder: below which images are unpacked.

    An image's id is its split and its file's name, or its row number where that names none or several.
    Raises DatasetError: splits that are no division, no column of images; see `labels_of_splits`.
    """
    parts, left = _division(name, splits)
    chosen = {split: splits[split] for split in parts}
    column = _image_column(name, next(iter(chosen.values())), options)
    found = labels_of_splits(name, chosen, column, options)
    ids: list[str] = []
    paths: list[Path] = []
    for split, rows in chosen.items():
        files = _files(rows, column)
        own = _names(files)
        ids += [f"{split}/{file}" for file in own] if len(chosen) > 1 else own
        paths += unpacked(rows, column, files, own, folder / split, options)
    official = np.concatenate([np.full(len(chosen[split]), part, np.int8) for split, part in parts.items()])
    kept = np.flatnonzero(found.labelled)
    labels = found.labels[kept]
    groups = _groups(name, chosen, options)
    seen = labels.any(axis=0)
    names = np.array(found.class_names, object)
    if not seen.all():
        left.append(f"left out: classes of {name} without an image: {first_five(names[~seen].tolist())}")
    several = len({part for row, part in enumerate(official) if found.labelled[row]}) > 1
    return Dataset(
        name,
        tuple(ids[row] for row in kept),
        tuple(paths[row] for row in kept),
        labels[:, seen],
        tuple(names[seen].tolist()),
        task_of(labels),
        official[kept] if several else None,
        (*notes, *left, *found.notes),
        tuple(groups[row] for row in kept) if groups else (),
    )


def _division(name: str, splits: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
    """The part that each split is, and notes on those that are none."""
    if len(splits) == 1:
        return dict.fromkeys(splits, TRAIN), []
    parts = {split: PARTS[split.lower()] for split in splits if split.lower() in PARTS}
    others = [split for split in splits if split not in parts]
    if TRAIN not in parts.values():
        raise DatasetError(
            f"{name} has the splits {', '.join(splits)}, none of which is called 'train'",
            f"Name one: --dataset {name}:{next(iter(splits))}",
        )
    return parts, [f"left out: the splits {', '.join(others)} of {name}"] if others else []


def _image_column(name: str, rows: Any, options: ReadOptions) -> str:
    import datasets

    columns = [column for column, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    if options.image_column is not None and options.image_column not in columns:
        raise DatasetError(
            f"{name}: the column {options.image_column!r} holds no images", f"Columns: {_columns(rows)}"
        )
    if not columns:
        raise DatasetError(
            f"{name} has no column of images; its columns are {_columns(rows)}",
            "Cast the column to datasets.Image and save it again",
        )
    return options.image_column or columns[0]


def _groups(name: str, splits: Mapping[str, Any], options: ReadOptions) -> list[str]:
    """Of all splits, one behind the other. Raises DatasetError: no such column, a row without a group."""
    column = options.group_column
    if column is None:
        return []
    first = next(iter(splits.values()))  # others have the same columns: labels_of_splits has seen to that
    if column not in first.features:
        raise DatasetError(
            f"{name} has no column {column!r}", f"Pass --group-column with one of {_columns(first)}"
        )
    found: list[str] = []
    for split, rows in splits.items():
        values = rows.select_columns([column]).with_format(None)[column]
        cells = ["" if value is None else str(value) for value in values]
        check_groups(cells, column, partial(_place, name, split))
        found += cells
    return found


def _place(name: str, split: str, row: int) -> str:
    return f"{name}, split {split!r}, row {row}"


def _columns(rows: Any) -> str:
    return ", ".join(f"{column} ({type(kind).__name__})" for column, kind in rows.features.items())


def _files(rows: Any, column: str) -> list[str]:
    """(n,) the path that stands beside each image's bytes, or where it lies; "" where there is none."""
    import pyarrow.compute as pc

    images = rows.select_columns([column]).with_format("arrow")[:][column]
    return [path or "" for path in pc.struct_field(images, "path").to_pylist()]


def _names(files: list[str]) -> list[str]:
    names = [show(os.path.basename(file)) for file in files]
    if all(names) and len(set(names)) == len(names):
        return names
    return [
        f"{row:07}{os.path.splitext(name)[1].lower() if is_image(name) else ''}"
        for row, name in enumerate(names)
    ]
