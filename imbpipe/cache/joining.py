"""Which row of somebody else's features belongs to which image, by what both are called."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imbpipe.cache.layout import utf8
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.images import is_image
from imbpipe.errors import StoreError
from imbpipe.types import Rows


def _stem(name: str) -> str:
    return os.path.splitext(name)[0] if is_image(name) else name


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


WAYS: dict[str, tuple[Callable[[str, Path], str], Callable[[str], str]]] = {
    "id": (lambda id_, path: id_, str),
    "path": (lambda id_, path: os.path.abspath(path), os.path.abspath),
    "id without suffix": (lambda id_, path: _stem(id_), _stem),
    "file name": (lambda id_, path: path.name, _base),
    "file name without suffix": (lambda id_, path: _stem(path.name), lambda name: _stem(_base(name))),
}
"""What an image, by its id and path, and a row, by its name, have in common; the surest first."""


def join(dataset: Dataset, names: Sequence[str], source: str) -> tuple[Rows, str]:
    """(n,) the row of each image, -1 where there is none, and the way they were told.

    Of the WAYS that are unambiguous the one that finds most images, the surest among equals.
    source: where the names come from, for messages.
    Raises StoreError: no image is found, or two rows have one name.
    """
    best, best_way, doubt = np.full(len(dataset), -1), "", ""
    for way, (of_image, of_name) in WAYS.items():
        keys = [of_image(utf8(id_), path) for id_, path in zip(dataset.ids, dataset.images, strict=True)]
        row_of: dict[str, int] = {}
        twice = {key for row, name in enumerate(names) if row_of.setdefault(key := of_name(name), row) != row}
        if len(set(keys)) < len(keys):
            continue
        if doubled := twice.intersection(keys):
            doubt = doubt or min(doubled)
            continue
        rows = np.array([row_of.get(key, -1) for key in keys], np.int64)
        if (rows >= 0).sum() > (best >= 0).sum():
            best, best_way = rows, way
        if (best >= 0).all():
            break
    if best_way:
        return best, best_way
    if doubt:
        raise StoreError(f"{source} names {doubt!r} twice", "Keep one of the rows")
    raise StoreError(
        f"no row of {source} names an image of {dataset.name!r}: its first is {names[0]!r}, "
        f"the data set's {dataset.ids[0]!r}",
        "Name the column that holds the data set's ids or paths with --id-column",
    )
