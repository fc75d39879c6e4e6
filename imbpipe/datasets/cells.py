"""Whether a cell of a label column holds one label or several, and what stands between them."""

from collections.abc import Sequence

from imbpipe.datasets.parquet import LIST
from imbpipe.errors import DatasetError

_SURE = (LIST, ";", "|")
_DOUBTFUL = (",", " ")
_PLURAL = frozenset({"labels", "tags", "classes", "categories"})


def separator_of(cells: Sequence[str], column: str, where: str) -> str:
    """What separates labels within a cell; "" where every cell is one label.

    `;` and `|` always separate. A comma or a space may belong to a name ("golden retriever"), so the
    cells decide: labels recur in ever new company, so that different cells are at least twice as many
    as different words; where no word occurs in two different cells, they are names. A column called
    "labels", "tags", "classes" or "categories" speaks for labels.

    Raises DatasetError: the cells could be read either way.
    """
    kinds = set(cells)
    for mark in (*_SURE, *_DOUBTFUL):
        if any(mark in cell for cell in kinds):
            break
    else:
        return ""
    if mark in _SURE:
        return mark
    words = [{word.strip() for word in cell.split(mark)} - {""} for cell in kinds]
    distinct = set().union(*words)
    recurring = sum(map(len, words)) > len(distinct)
    plural = column.casefold() in _PLURAL
    if recurring and (plural or 2 * len(distinct) <= len(kinds)):
        return mark
    if not recurring and not plural:
        return ""
    example = next(cell for cell in sorted(kinds) if mark in cell)
    raise DatasetError(
        f"{where}: {example!r} in column {column!r} could be one label or several",
        f"Pass --label-separator '{mark}' for several, or --label-separator '' for one",
    )
