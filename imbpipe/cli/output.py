"""What a person sees: bars and remarks on stderr, results on stdout."""

import json
import logging
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from imbpipe.errors import ResultsError, show
from imbpipe.types import Progress

COLUMNS = 80
"""Characters that every terminal has."""

LOG = logging.getLogger("imbpipe")
"""Where remarks, results and the ends of bars go as well; nowhere without --log."""
LOG.propagate = False
LOG.addHandler(logging.NullHandler())


def start_log(file: Path) -> None:
    """From now on write times and messages to `file`, after what it holds. Raises ResultsError."""
    try:
        handler = logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"cannot write the log {file}: {error.strerror}", "Name another file") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)


def end_log() -> None:
    for handler in [handler for handler in LOG.handlers if isinstance(handler, logging.FileHandler)]:
        LOG.removeHandler(handler)
        handler.close()


def say(message: str) -> None:
    """A remark for the person at the terminal."""
    click.echo(show(message), err=True)
    LOG.info("%s", show(message))


def tell(message: str) -> None:
    """A line of the result."""
    click.echo(show(message))
    LOG.info("%s", show(message))


def tell_wrapped(message: str) -> None:
    """A sentence of the result, on lines that fit a terminal."""
    click.echo(textwrap.fill(show(message), COLUMNS, subsequent_indent="  ", break_on_hyphens=False))
    LOG.info("%s", show(message))


def print_json(result: Any) -> None:
    """One JSON document on stdout, in ASCII whatever names are in it; what is not a number is null."""
    click.echo(json.dumps(_finite(result), indent=2, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value


def number(value: float, sign: str = "") -> str:
    """Three decimals; of a value below 1, without the 0 before the point. sign: "+" to show it always."""
    return re.sub(r"^([+-]?)0\.", r"\1.", f"{value:{sign}.3f}") if value == value else "none"


@contextmanager
def bar(what: str, unit: str) -> Iterator[Progress]:
    """A bar with rate and time left on a terminal, from the first report on; nothing in a pipe."""
    from tqdm import tqdm

    bars: list[tqdm] = []
    reached = (0, 0)

    def progress(done: int, total: int) -> None:
        nonlocal reached
        reached = (done, total)
        if not bars and total:
            hidden = not sys.stderr.isatty()
            bars.append(tqdm(total=total, desc=what, unit=f" {unit}", disable=hidden, dynamic_ncols=True))
        for shown in bars:
            shown.update(done - shown.n)

    try:
        yield progress
    finally:
        for shown in bars:
            shown.close()
        if reached[1]:
            LOG.info("%s: %d of %d %s", what, *reached, unit)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned words, right-aligned numbers; a terminal's width is kept, in a pipe a row is a line."""
    width = max(COLUMNS, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
    for line in table_lines(columns, rows, width):
        tell(line)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The table as lines of at most `width` characters where folding its columns of words can do it."""
    texts = [list(map(show, row)) for row in [columns, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [
        all(row[i][:1] in "+-−.0123456789[" or not row[i] for row in texts[1:]) for i in range(len(columns))
    ]
    words = [i for i, to_right in enumerate(right) if not to_right]
    while width and words and sum(widths) + 2 * len(widths) - 2 > width:
        widest = max(words, key=lambda i: widths[i])
        if widths[widest] <= LEAST:
            break
        widths[widest] -= 1
    return [line for row in texts for line in _folded(row, widths, right)]


LEAST = 10
"""Characters below which no column of words is folded."""


def _folded(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    cells = [
        (textwrap.wrap(cell, width, subsequent_indent="  ") if len(cell) > width else [cell])
        for cell, width in zip(row, widths, strict=True)
    ]
    for pieces in zip_longest(*cells, fillvalue=""):
        aligned = (
            piece.rjust(width) if to_right else piece.ljust(width)
            for piece, width, to_right in zip(pieces, widths, right, strict=True)
        )
        yield "  ".join(aligned).rstrip()
