"""Finding the image of each id, with one listing a folder."""

import os
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from imbpipe.datasets.labels import Place
from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import DatasetError
from imbpipe.types import Rows

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"})


@dataclass(frozen=True, eq=False)
class Found:
    """rows: (m,) the rows whose image is there. images: their m paths. notes: what is left out."""

    rows: Rows
    images: tuple[Path, ...]
    notes: tuple[str, ...]


def is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def check_ids(ids: Sequence[str], place: Place) -> None:
    """Raises DatasetError: an id that is empty, leaves the folder (`..`, absolute), or occurs twice."""
    for row, name in enumerate(ids):
        if not name or "\0" in name:
            raise DatasetError(f"{place(row)}: {name!r} names no image", "Name one or delete the row")
        if _leaves(name):
            raise DatasetError(
                f"{place(row)}: {name!r} leads out of the images' folder",
                "Name images relative to it, without '..'",
            )
    check_unique(ids, place)


def check_unique(ids: Sequence[str], place: Place) -> None:
    """Raises DatasetError: an id occurs twice."""
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if first.setdefault(name, row) != row:
            raise _twice(name, place(first[name]), place(row))


def find_images(
    folder: Path, ids: Sequence[str], place: Place, options: ReadOptions, spare: Collection[str] = ()
) -> Found:
    """The file of each id in `folder`: of that name, or of that name but for an image's suffix.

    ids: names relative to the folder, checked by `check_ids`. spare: others that may lie there unlabelled.
    Nothing is looked for where `options.images_needed` is False: an id without an image's suffix gets .jpg.
    Raises DatasetError: no such folder, an id that fits two files, two ids for one file; unless
    `allow_missing`, labels without an image or images without a label (counts and the first five).
    """
    if not options.images_needed:
        images = tuple(folder / (name if is_image(name) else f"{name}.jpg") for name in ids)
        return Found(np.arange(len(ids)), images, ())
    listing = _Listing(folder)
    files = [listing.file(name, place, row) for row, name in enumerate(ids)]
    owner: dict[str, int] = {}
    for row, file in enumerate(files):
        if file and owner.setdefault(file, row) != row:
            raise _twice(file, place(owner[file]), place(row))
    used = owner.keys() | {listing.file(name, place, 0) for name in spare}
    notes = _missing(
        folder, [name for name, file in zip(ids, files, strict=True) if not file], len(ids), options
    )
    notes += unlabelled(folder, sorted(listing.images() - used), options)
    rows = np.array([row for row, file in enumerate(files) if file], np.int64)
    return Found(rows, tuple(folder / file for file in files if file), tuple(notes))


def unlabelled(folder: Path, files: list[str], options: ReadOptions) -> list[str]:
    """A note on images without a label, or, unless `allow_missing`, a DatasetError."""
    if not files:
        return []
    fact = f"{len(files):,} images in {folder} have no label: {first_five(files)}"
    if not options.allow_missing:
        raise DatasetError(fact, "Label them, move them away, or pass --allow-missing to leave them out")
    return [f"left out: {fact}"]


def first_five(names: Sequence[str]) -> str:
    return ", ".join([*names[:5], *(["…"] if len(names) > 5 else [])])


class _Listing:
    """Files below a folder, each subfolder read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DatasetError(f"there is no folder {folder}", "Put the images there")
        self._folder = folder
        self._names: dict[str, dict[str, str]] = {}
        self._stems: dict[str, dict[str, list[str]]] = {}

    def file(self, name: str, place: Place, row: int) -> str:
        """The path below the folder, as the disk spells it; "" where there is none."""
        parent, last = os.path.split(os.path.normpath(name))
        if parent not in self._names:
            self._read(parent)
        exact = self._names[parent].get(last)
        fitting = [exact] if exact else self._stems[parent].get(last, [])
        if len(fitting) > 1:
            raise DatasetError(
                f"{place(row)}: {name!r} fits {' and '.join(sorted(fitting))}", "Write the file's whole name"
            )
        return fitting[0] if fitting else ""

    def images(self) -> set[str]:
        """All images in the subfolders that were asked for."""
        return {file for names in self._names.values() for file in names.values() if is_image(file)}

    def _read(self, parent: str) -> None:
        try:
            names = os.listdir(self._folder / parent)
        except (FileNotFoundError, NotADirectoryError):
            names = []
        except OSError as error:
            raise DatasetError(
                f"cannot list {error.filename}: {error.strerror}", "Check its permissions"
            ) from None
        visible = {
            unicodedata.normalize("NFC", name): f"{parent}/{name}" if parent else name
            for name in names
            if not name.startswith(".")
        }
        self._names[parent] = visible
        stems = self._stems[parent] = {}
        for name, file in visible.items():
            if is_image(name):
                stems.setdefault(os.path.splitext(name)[0], []).append(file)


def _leaves(name: str) -> bool:
    if not any(mark in name for mark in ("/", "\\", "..")):
        return False
    path = PureWindowsPath(name)  # knows both kinds of slash
    return bool(path.root) or ".." in path.parts


def _twice(name: str, first: str, second: str) -> DatasetError:
    return DatasetError(f"{name!r} is labelled twice: {first}, and {second}", "Keep one of the two rows")


def _missing(folder: Path, ids: list[str], of: int, options: ReadOptions) -> list[str]:
    if not ids:
        return []
    fact = f"{len(ids):,} of {of:,} labels have no image in {folder}: {first_five(ids)}"
    if len(ids) == of:
        raise DatasetError(fact, "Put the images there, under the names that the labels give them")
    if not options.allow_missing:
        raise DatasetError(fact, "Put the images there, or pass --allow-missing to leave such labels out")
    return [f"left out: {fact}"]
