"""Words in cells to a matrix of labels."""

import difflib
from collections.abc import Callable, Sequence

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts
from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import DatasetError
from imbpipe.types import Labels, Task

Place = Callable[[int], str]
"""Row number -> where that row stands, for errors."""


def encode_tags(
    cells: Sequence[str], separator: str, place: Place, options: ReadOptions, known: Sequence[str] = ()
) -> tuple[Labels, tuple[str, ...]]:
    """The tags in each cell -> (n, c) labels and the class names; a tag named twice counts once.

    separator: between the tags of a cell; "" takes a cell as one tag.
    known: all tags there may be, in the order of the columns; without it, those that occur, sorted.
    Raises DatasetError: a cell without tags (unless `empty_tags="negative"`), an unknown tag.
    """
    tags = {cell: _split(cell, separator) for cell in dict.fromkeys(cells)}
    if options.empty_tags == "error":
        _refuse_empty([row for row, cell in enumerate(cells) if not tags[cell]], place)
    names = tuple(known) or tuple(sorted({tag for found in tags.values() for tag in found}))
    column = {name: c for c, name in enumerate(names)}
    sets = np.zeros((len(tags), len(names)), bool)
    for s, (cell, found) in enumerate(tags.items()):
        for tag in found:
            if tag not in column:
                raise _unknown(tag, names, place(cells.index(cell)))
            sets[s, column[tag]] = True
    number = {cell: s for s, cell in enumerate(tags)}
    return sets[[number[cell] for cell in cells]], names


def task_of(labels: Labels) -> Task:
    """single-label where every row has exactly one positive."""
    return "single-label" if (labels.sum(axis=1) == 1).all() else "multi-label"


def rare_class_notes(dataset: Dataset) -> list[str]:
    """One sentence a class that has too few positive images to be measured; empty where all have two."""
    return [
        f"class {name!r} of {dataset.name!r} has {'1 positive image' if count else 'no positive image'}: "
        "its metrics are null and left out of means"
        for name, count in zip(dataset.class_names, class_counts(dataset.labels), strict=True)
        if count < 2
    ]


def _split(cell: str, separator: str) -> list[str]:
    parts = cell.split(separator) if separator else [cell]
    return [tag for part in parts if (tag := part.strip())]


def _refuse_empty(rows: list[int], place: Place) -> None:
    if rows:
        others = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise DatasetError(
            f"{place(rows[0])}: no label{others}",
            "Add one, or pass --empty-tags negative if no class is present in such images",
        )


def _unknown(tag: str, known: Sequence[str], where: str) -> DatasetError:
    close = difflib.get_close_matches(tag, known, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return DatasetError(f"{where}: unknown tag {tag!r}", f"{meant}Known: {', '.join(known)}")
