"""A table of text: columns, rows, and the place of each row in its file."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imbpipe.datasets.text import read_text
from imbpipe.errors import DatasetError

SEPARATORS = ",;\t"


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as text, as they stand in the file: `007` stays `007`, `None` stays `None`.

    columns: as many names as each row has cells. lines: the number that `unit` counts, for each row.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    unit: str = "line"

    def place(self, row: int) -> str:
        """Where a row stands, in the words of an error: "labels.csv, line 7"."""
        return f"{self.path}, {self.unit} {self.lines[row]}"

    def column(self, name: str, option: str) -> list[str]:
        """The cells of a column, without spaces around them.

        option: the command line's option that names this column.
        Raises DatasetError: no such column, or a cell that runs over several lines.
        """
        if name not in self.columns:
            raise self._no_column(name, option)
        at = self.columns.index(name)
        cells = [row[at].strip() for row in self.rows]
        for row, cell in enumerate(cells):
            if "\n" in cell or "\r" in cell:
                raise DatasetError(
                    f"{self.place(row)}: a quotation mark opens a cell that goes on to other lines", CLOSE
                )
        return cells

    def _no_column(self, name: str, option: str) -> DatasetError:
        close = next((found for found in self.columns if found.casefold() == name.casefold()), "NAME")
        return DatasetError(
            f"{self.path} has no column {name!r}; its columns are {', '.join(map(repr, self.columns))}",
            f"Rename one, or pass {option} {close}",
        )


CLOSE = 'Close it, or double it ("") where it belongs to the text'


def read_delimited(path: Path) -> Table:
    """A file of comma-, semicolon- or tab-separated cells, whose first row names the columns.

    Raises DatasetError: see `read_text`; no row, columns named twice, a row with more or fewer cells than
    the header, a quotation mark that is not closed.
    """
    text = read_text(path)
    header = next(line for line in text.splitlines() if line.strip())
    separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([header], delimiter=mark))))
    parsed = list(_cells(path, text, separator))
    if not parsed:
        raise DatasetError(f"{path} has no cell that is not empty", "It needs a row an image below a header")
    columns = tuple(name.strip() for name in parsed[0][1])
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise DatasetError(f"{path} names the column {twice[0]!r} twice", "Rename one of them")
    if len(parsed) == 1:
        raise DatasetError(f"{path} has a header ({', '.join(columns)}) and no row", "Add a row an image")
    for line, row in parsed:
        if len(row) != len(columns):
            raise DatasetError(
                f"{path}, line {line}: {len(row)} cells for the {len(columns)} columns {', '.join(columns)}",
                f'Put "quotation marks" around a cell that holds {separator!r}, and add missing cells',
            )
    lines, rows = zip(*parsed[1:], strict=True)
    return Table(path, columns, list(rows), list(lines))


def _cells(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the line where it begins."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for row in reader:
            if any(row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error:
        fact = f"{path}, line {line}: a quotation mark is not closed, or stands alone inside a cell"
        raise DatasetError(fact, CLOSE) from None
