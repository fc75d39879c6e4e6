"""Draw figures into a folder."""

import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from imbpipe.errors import ImbpipeError, ResultsError
from imbpipe.figures.figure import FIGURES, FigureInputs
from imbpipe.figures.page import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METADATA = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Of each format what to leave out, so that the same figure has the same bytes."""


def draw(names: Iterable[str], inputs: FigureInputs, folder: Path) -> list[tuple[str, list[Path] | str]]:
    """Draw the named figures; of each, the files written, or in one line why it cannot be drawn.

    Raises UnknownNameError: no such figure; ResultsError: the folder cannot be written.
    """
    functions = {name: FIGURES[name] for name in names}
    drawn: list[tuple[str, list[Path] | str]] = []
    for name, function in functions.items():
        try:
            made = function(inputs)
        except ImbpipeError as error:
            drawn.append((name, str(error)))
        else:
            drawn.append((name, save(made, folder, f"figure-{name}")))
    return drawn


def save(figure: "Figure", folder: Path, name: str) -> list[Path]:
    """Write `name`.png (150 dots an inch), .svg and .pdf, each whole or not at all.

    The layout is made once, so that the three agree. Raises ResultsError: a file cannot be written.
    """
    paths = [folder / f"{name}.{kind}" for kind in METADATA]
    with style():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for path in paths:
            _write(figure, path)
    return paths


def _write(figure: "Figure", path: Path) -> None:
    kind = path.suffix[1:]
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, format=kind, metadata=METADATA[kind])
        os.replace(temporary, path)
    except OSError as error:
        raise ResultsError(
            f"{path}: {error.strerror or error}", "Name another folder or free space"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
