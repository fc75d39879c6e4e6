"""A data set by its name or its path."""

import os
from dataclasses import replace
from pathlib import Path

from imbpipe.datasets.dataset import DATASETS, Dataset
from imbpipe.datasets.folder import read_folder
from imbpipe.datasets.huggingface import PREFIX, holds_images, is_saved, read_huggingface
from imbpipe.datasets.metadata import has_metadata, read_metadata
from imbpipe.datasets.options import STRICT, ReadOptions
from imbpipe.datasets.tabular import SUFFIXES, read_tabular
from imbpipe.errors import DatasetError, UnknownNameError, UsageError

KINDS = f"a folder with one subfolder a class, or a {', '.join(SUFFIXES)} file"


def load_dataset(name_or_path: str, *, root: Path | None = None, options: ReadOptions = STRICT) -> Dataset:
    """Read the labels of a data set and find its images; no image is opened.

    name_or_path: a registered name, else a path to a folder (see `read_folder`, `read_metadata`) or a table
        (see `read_tabular`); "./planet" is always a path. "hf:…": see `read_huggingface`, which also reads
        what `datasets` saved.
    root: where registered data sets lie; None: $IMBPIPE_DATA, else ./data. options: how labels are read.
    Raises DatasetError: what is wrong in which row of which file. UnknownNameError: neither name nor path.
    UsageError: a column of groups, where there are no columns.
    """
    data = _load(name_or_path, root or Path(os.environ.get("IMBPIPE_DATA") or "data"), options)
    if options.group_column is None:
        return data
    if not data.groups:
        raise UsageError(
            f"{name_or_path!r} has no column {options.group_column!r}, as it has no columns",
            "Leave out --group-column, or write a table",
        )
    note = f"{len(set(data.groups)):,} groups of images by {options.group_column!r}: each is kept together"
    return replace(data, notes=(*data.notes, note))


def _load(name_or_path: str, place: Path, options: ReadOptions) -> Dataset:
    if name_or_path.startswith(PREFIX):
        return read_huggingface(name_or_path, place, options)
    try:
        loader = DATASETS[name_or_path]
    except UnknownNameError as unknown:
        return _read_path(name_or_path, place, options, unknown)
    return loader(place, options)


def _read_path(text: str, root: Path, options: ReadOptions, unknown: UnknownNameError) -> Dataset:
    path = Path(text)
    if text and os.path.isdir(path):
        if is_saved(path):
            return read_huggingface(f"{PREFIX}{text}", root, options)
        return read_metadata(path, options) if has_metadata(path) else read_folder(path, options)
    if path.suffix.lower() == ".parquet" and path.is_file() and holds_images(path):
        return read_huggingface(f"{PREFIX}{text}", root, options)
    if path.suffix.lower() in SUFFIXES:
        return read_tabular(path, options)
    if text and os.path.exists(path):
        raise DatasetError(f"cannot read labels from {path}", f"A data set is {KINDS}")
    if path.name != text:
        raise DatasetError(f"there is no folder or file {text!r}", f"A data set is a name, {KINDS}")
    raise UnknownNameError(unknown.fact, f"{unknown.remedy}; or a path: {KINDS}") from None
