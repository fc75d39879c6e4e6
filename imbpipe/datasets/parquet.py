"""A Parquet file as a table of text."""

import unicodedata
from pathlib import Path
from typing import Any

from imbpipe.datasets.table import Table
from imbpipe.datasets.text import require_file
from imbpipe.errors import DatasetError

LIST = "\0"
"""Ends each item of a list that stands in one cell."""


def read_parquet(path: Path) -> Table:
    """Cells as text; an absent value is an empty cell, a list its items, each followed by `LIST`.

    Columns that hold anything else (pixels, structures, the index of pandas) are left out.
    Raises DatasetError: no such file, not Parquet, no row.
    """
    import pyarrow

    require_file(path)
    try:
        names, columns = _columns(path)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"cannot read {path} as Parquet: {reason}", "Write the file again") from None
    rows = [list(row) for row in zip(*columns, strict=True)]
    if not rows:
        raise DatasetError(f"{path} has no row with text or numbers", "Add a row an image")
    return Table(path, tuple(names), rows, list(range(1, len(rows) + 1)), unit="row")


def _columns(path: Path) -> tuple[list[str], list[list[str]]]:
    from pyarrow import parquet

    return text_columns(parquet.read_table(path))


def text_columns(data: Any) -> tuple[list[str], list[list[str]]]:
    """Names and cells of those columns of an Arrow table that hold text, numbers or lists of them."""
    fields = [(at, field.name) for at, field in enumerate(data.schema) if _is_text(field.type)]
    fields = [(at, name) for at, name in fields if not name.startswith("__index_level_")]
    columns = [[_text(value) for value in data.column(at).to_pylist()] for at, _ in fields]
    return [name for _, name in fields], columns


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind) or types.is_list(kind) or types.is_large_list(kind):
        return _is_text(kind.value_type)
    tests = (
        types.is_string,
        types.is_large_string,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    return any(test(kind) for test in tests)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(f"{_text(item)}{LIST}" for item in value)
    absent = value is None or value != value  # NaN
    return "" if absent else unicodedata.normalize("NFC", str(value))
