"""Draw figures into a folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from imbpipe.errors import ImbpipeError
from imbpipe.experiments.whole import write_whole
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

    Raises ResultsError: a file cannot be written.
    """
    paths = [folder / f"{name}.{kind}" for kind in METADATA]
    with style():
        settle(figure)
        for path in paths:
            _write(figure, path)
    return paths


def settle(figure: "Figure") -> None:
    """Lay out once for all formats, and round: the solver's last digits differ from run to run."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(4))
        for text in part.texts:
            x, y = text.get_position()
            text.set_position((round(x, 4), round(y, 4)))
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position().get_points().round(4)))


def _write(figure: "Figure", path: Path) -> None:
    kind = path.suffix[1:]
    write_whole(
        path,
        lambda place: figure.savefig(place, format=kind, metadata=METADATA[kind]),
        "Name another folder or free space",
    )
