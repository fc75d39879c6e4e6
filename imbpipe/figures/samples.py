"""Figure 4: some images of each data set with their labels."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import DatasetError, ImageError
from imbpipe.extract.decode import decode, read_bytes
from imbpipe.figures.figure import FigureInputs, Needs, figure
from imbpipe.figures.page import WIDTH, page
from imbpipe.figures.text import dataset_phrase, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from PIL.Image import Image

ROWS, COLUMNS = 2, 4
SIDE = 256
"""Pixels of a square."""

TRIES = 5
"""Unreadable images of a class before the figure gives up."""

HEADING, CAPTION = 0.3, 0.42
HEIGHT = HEADING + ROWS * (WIDTH / COLUMNS + CAPTION)
"""Inches."""


@figure("4", Needs(roles=("multi-label", "single-label"), images=True))
def sample_images(inputs: FigureInputs) -> "Figure":
    """Sample images of both data sets with all of their labels, from the most frequent class to the rarest.

    Source: Panigrahi & Zhu (2023), Fig. 4.
    """
    given = [dataset for dataset in (inputs.multi, inputs.single) if dataset is not None]
    if not given:
        raise DatasetError("no data set was given", "Name one with --dataset")
    footer = [
        "Each picture is the first readable image of its data set that carries one of the classes, from the "
        "most frequent class to the rarest in even steps; cut to its middle square, its labels below it.",
        *(f"Data: {dataset_phrase(dataset)}." for dataset in given),
        *(["One panel only: one data set was given."] if len(given) < 2 else []),
    ]
    result, subfigures = page("Sample images", footer, [(shorten(dataset.name), HEIGHT) for dataset in given])
    for subfigure, dataset in zip(subfigures, given, strict=True):
        _sheet(subfigure, dataset)
    return result


def _sheet(subfigure: "SubFigure", dataset: Dataset) -> None:
    for place, (row, picture) in enumerate(samples(dataset, ROWS * COLUMNS).items()):
        axes = subfigure.add_axes(_place(place))
        axes.imshow(picture)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        _caption(
            axes, [name for name, has in zip(dataset.class_names, dataset.labels[row], strict=True) if has]
        )


def _place(number: int) -> tuple[float, float, float, float]:
    """Left, bottom, width, height of a picture, as shares of the sheet."""
    row, column = divmod(number, COLUMNS)
    pitch = WIDTH / COLUMNS
    top = HEADING + row * (pitch + CAPTION)
    return (column + 0.04) / COLUMNS, 1 - (top + 0.92 * pitch) / HEIGHT, 0.92 / COLUMNS, 0.92 * pitch / HEIGHT


def samples(dataset: Dataset, most: int) -> "dict[int, Image]":
    """Up to `most` different images by row: the first of each class, classes in even steps of frequency.

    Raises ImageError: the first few images of a class cannot be read.
    """
    counts = class_counts(dataset.labels)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    steps = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))
    chosen: dict[int, Image] = {}
    for column in order[steps][::-1]:  # the rarest choose first: theirs are few
        rows = [row for row in np.flatnonzero(dataset.labels[:, column]).tolist() if row not in chosen]
        chosen |= _first_readable(dataset, rows[:TRIES])
    return dict(reversed(chosen.items()))


def _first_readable(dataset: Dataset, rows: Sequence[int]) -> "dict[int, Image]":
    from PIL import ImageOps

    for row in rows:
        path = dataset.images[row]
        try:
            return {row: ImageOps.fit(decode(read_bytes(path)), (SIDE, SIDE))}
        except ImageError as error:
            if row == rows[-1]:
                raise ImageError(f"{path}: {error.fact}", "Say with --root where the images lie") from None
    return {}


def _caption(axes: "Axes", labels: list[str]) -> None:
    text = ", ".join(shorten(label) for label in labels) or "no label"
    lines = textwrap.wrap(text, 27, max_lines=4, placeholder=" …")
    axes.set_xlabel("\n".join(lines), fontsize=7, linespacing=1.15)
