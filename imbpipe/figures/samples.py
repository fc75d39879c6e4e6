"""Figure 4: some images of each data set with their labels."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import DatasetError
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
        "Each picture is the first image of its data set that carries one of the classes, from the most "
        "frequent class to the rarest in even steps; cut to its middle square, all of its labels below it.",
        *(f"Data: {dataset_phrase(dataset)}." for dataset in given),
        *(["One panel only: one data set was given."] if len(given) < 2 else []),
    ]
    result, subfigures = page("Sample images", footer, [(shorten(dataset.name), HEIGHT) for dataset in given])
    for subfigure, dataset in zip(subfigures, given, strict=True):
        _sheet(subfigure, dataset)
    return result


def _sheet(subfigure: "SubFigure", dataset: Dataset) -> None:
    for place, row in enumerate(sample_rows(dataset, ROWS * COLUMNS)):
        axes = subfigure.add_axes(_place(place))
        axes.imshow(_square(dataset.images[row]))
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


def sample_rows(dataset: Dataset, most: int) -> list[int]:
    """Rows of up to `most` different images: the first of each class, classes in even steps of frequency."""
    counts = class_counts(dataset.labels)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    steps = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))
    rows: list[int] = []
    for column in order[steps]:
        candidates = dataset.labels[:, column].copy()
        candidates[rows] = False
        rows += np.flatnonzero(candidates)[:1].tolist()
    return rows


def _square(path: Path) -> "Image":
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.fit(image.convert("RGB"), (SIDE, SIDE))
    except (OSError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"{path}: cannot be shown: {error}", "Give --root the folder that holds the images"
        ) from None


def _caption(axes: "Axes", labels: list[str]) -> None:
    text = ", ".join(shorten(label) for label in labels) or "no label"
    lines = textwrap.wrap(text, 27, max_lines=4, placeholder=" …")
    axes.set_xlabel("\n".join(lines), fontsize=7, linespacing=1.15)
