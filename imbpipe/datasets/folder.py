"""A folder of images with one subfolder a class."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imbpipe.datasets.dataset import TEST, TRAIN, VALIDATION, Dataset
from imbpipe.datasets.images import check_unique, first_five, is_image, unlabelled
from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import DatasetError, show

PARTS = {
    "train": TRAIN, "training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip


class _File(NamedTuple):
    """id: the path below the data set's folder. name: of its class; "" outside the class folders."""

    id: str
    path: str
    name: str
    part: int


def read_folder(folder: Path, options: ReadOptions) -> Dataset:
    """Each subfolder is a class, with its images at any depth; single-label.

    Subfolders train and val or test (or training, valid, validation, testing) are the owner's division,
    and the classes are theirs. Hidden files are ignored; files that are no images are noted.

    Raises DatasetError: fewer than two classes, a class without an image, images outside the classes
    (unless `allow_missing`), a folder that cannot be read or that contains itself.
    Source: the convention of torchvision's ImageFolder.
    """
    bases = division(folder)
    files = [file for base, part in bases.items() for file in _files(folder, base, part)]
    images = [file for file in files if file.name and is_image(file.path)]
    names = _class_names(folder, images)
    notes = unlabelled(folder, [file.id for file in files if not file.name and is_image(file.path)], options)
    notes += _deeper(folder, images, bases)
    others = [file.id for file in files if not is_image(file.path)]
    if others:
        notes.append(f"left out: {len(others):,} files in {folder} are no images: {first_five(others)}")
    ids = tuple(file.id for file in images)
    check_unique(ids, lambda row: images[row].path)
    column = {name: c for c, name in enumerate(names)}
    return Dataset(
        text_of(folder.resolve().name),
        ids,
        tuple(Path(file.path) for file in images),
        np.eye(len(names), dtype=bool)[[column[file.name] for file in images]],
        names,
        "single-label",
        np.array([file.part for file in images], np.int8) if len(bases) > 1 else None,
        tuple(notes),
    )


def _deeper(folder: Path, images: list[_File], bases: dict[Path, int]) -> list[str]:
    """A sentence where class folders hold further folders, which somebody may have meant as the classes."""
    depth = 1 if folder in bases else 2
    inside = sorted({os.path.dirname(file.id) for file in images if file.id.count(os.sep) > depth})
    if not inside:
        return []
    return [
        f"classes are the folders right below {folder}; images in folders further down count as theirs: "
        f"{first_five(inside)}"
    ]


def division(folder: Path) -> dict[Path, int]:
    """The folders that hold class folders, and the part that each is; `folder` itself without a division."""
    inside = [entry.name for entry in _visible(folder) if entry.is_dir()]
    parts = {name: PARTS[name.lower()] for name in inside if name.lower() in PARTS}
    if TRAIN not in parts.values() or len(set(parts.values())) < 2:
        return {folder: TRAIN}
    others = [name for name in inside if name not in parts]
    if others:
        raise DatasetError(
            f"{folder} holds {first_five(others)} beside {', '.join(parts)}",
            "Move what is no part of the division away",
        )
    return {folder / name: part for name, part in parts.items()}


def _files(folder: Path, base: Path, part: int) -> Iterator[_File]:
    for entry in _visible(base):
        name = text_of(entry.name) if entry.is_dir() else ""
        paths = list(_walk(entry.path, ())) if name else [entry.path]
        if not any(map(is_image, paths)) and name:
            raise DatasetError(
                f"the class folder {entry.path} holds no image", "Put images there or remove it"
            )
        for path in paths:
            yield _File(text_of(os.path.relpath(path, folder)), path, name, part)


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        raise DatasetError(f"{folder} contains itself", "Remove the link")
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _walk(entry.path, (*above, real))
        else:
            yield entry.path


def _visible(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name
            )
    except OSError as error:
        raise DatasetError(f"cannot list {folder}: {error.strerror}", "Check its permissions") from None


def text_of(name: str) -> str:
    """A name that can be printed and stored: Unicode form C, bytes that are no text as escapes."""
    return show(unicodedata.normalize("NFC", name))


def _class_names(folder: Path, images: list[_File]) -> tuple[str, ...]:
    names = tuple(sorted({file.name for file in images}))
    if len(names) < 2:
        found = f"only one class folder, {names[0]!r}" if names else "no class folder"
        raise DatasetError(
            f"{folder} holds {found}",
            "Put the images of each class into a subfolder of its own, or name a table of labels (.csv)",
        )
    return names
