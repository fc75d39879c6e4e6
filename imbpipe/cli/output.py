"""What a person sees: bars and remarks on stderr, results on stdout."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from imbpipe.errors import show
from imbpipe.types import Progress


def say(message: str) -> None:
    """A remark for the person at the terminal."""
    click.echo(show(message), err=True)


def tell(message: str) -> None:
    """A line of the result."""
    click.echo(show(message))


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


@contextmanager
def bar(what: str, unit: str) -> Iterator[Progress]:
    """A bar with rate and time left on a terminal, from the first report on; nothing in a pipe."""
    from tqdm import tqdm

    bars: list[tqdm] = []

    def progress(done: int, total: int) -> None:
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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned words, right-aligned numbers, one line a row."""
    texts = [list(map(show, row)) for row in [columns, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [
        all(row[i][:1] in "+-−.0123456789[" or not row[i] for row in texts[1:]) for i in range(len(columns))
    ]
    for row in texts:
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())
