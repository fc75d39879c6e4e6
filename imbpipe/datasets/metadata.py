"""A folder of images with a metadata file beside them: Hugging Face's `imagefolder` with metadata."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imbpipe.datasets.dataset import TRAIN, Dataset
from imbpipe.datasets.folder import division, text_of
from imbpipe.datasets.labels import task_of
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.parquet import read_parquet, text_columns
from imbpipe.datasets.table import Table, read_delimited
from imbpipe.datasets.tabular import read_table
from imbpipe.datasets.text import read_text
from imbpipe.errors import DatasetError

FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def has_metadata(folder: Path) -> bool:
    """Whether a metadata file lies in the folder, or in one of the parts that its owner divided it into."""
    return any(_file(base) is not None for base in _bases(folder))


def read_metadata(folder: Path, options: ReadOptions) -> Dataset:
    """metadata.csv, .jsonl or .parquet names the images (`file_name`, relative to it) and their labels.

    With subfolders train and val or test it lies in each of them, and they are the owner's division.
    Raises DatasetError: a part without metadata; see `read_table`.
    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    bases = _bases(folder)
    parts = [_read(folder, base, options) for base in bases]
    names = parts[0].class_names
    if any(part.class_names != names for part in parts):
        names = tuple(sorted({name for part in parts for name in part.class_names}))
    labels = np.concatenate([_columns(part, names) for part in parts])
    sizes = list(map(len, parts))
    prefixes = ["" if base == folder else f"{text_of(base.name)}/" for base in bases]
    return Dataset(
        text_of(folder.resolve().name),
        tuple(f"{prefix}{id_}" for prefix, part in zip(prefixes, parts, strict=True) for id_ in part.ids),
        tuple(path for part in parts for path in part.images),
        labels,
        names,
        task_of(labels),
        np.repeat(list(bases.values()), sizes).astype(np.int8) if len(bases) > 1 else None,
        tuple(note for part in parts for note in part.notes),
        tuple(group for part in parts for group in part.groups),
    )


def _bases(folder: Path) -> dict[Path, int]:
    return {folder: TRAIN} if _file(folder) else division(folder)


def _file(base: Path) -> Path | None:
    """The metadata file of a folder. One without `file_name` is about something else."""
    return next((base / name for name in FILES if _names_files(base / name)), None)


def _names_files(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix == ".parquet":
        return "file_name" in read_parquet(path).columns
    with path.open("rb") as file:
        return b"file_name" in file.readline()


def _read(folder: Path, base: Path, options: ReadOptions) -> Dataset:
    file = _file(base)
    if file is None:
        raise DatasetError(
            f"{base} holds none of {', '.join(FILES)}, unlike other parts of {folder}", "Put one there"
        )
    if file.suffix == ".jsonl":
        table = _read_json_lines(file)
    else:
        table = read_parquet(file) if file.suffix == ".parquet" else read_delimited(file)
    return read_table(table, replace(options, image_column=options.image_column or "file_name"))


def _columns(part: Dataset, names: Sequence[str]) -> np.ndarray:
    """(n, c) the part's labels in the columns of `names`."""
    labels = np.zeros((len(part), len(names)), bool)
    labels[:, [names.index(name) for name in part.class_names]] = part.labels
    return labels


def _read_json_lines(path: Path) -> Table:
    import pyarrow as pa

    rows, lines = [], []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: {error}", "Write a JSON object a line") from None
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, line {number}: no JSON object", 'Write {"file_name": …, "label": …}')
        rows.append(row)
        lines.append(number)
    try:
        columns, cells = text_columns(pa.Table.from_pylist(rows))
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"cannot read {path}: {reason}", "Keep one kind of value in a column") from None
    return Table(path, tuple(columns), [list(row) for row in zip(*cells, strict=True)], lines)
