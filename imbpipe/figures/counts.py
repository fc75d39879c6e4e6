"""Figures 1, 3 and 5: how often each class occurs, before and after resampling."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts, low_frequency
from imbpipe.errors import DatasetError
from imbpipe.figures.figure import FigureInputs, Needs, Resampled, figure
from imbpipe.figures.page import BLUE, SKY, VERMILLION, page
from imbpipe.figures.text import dataset_phrase, shorten
from imbpipe.types import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

BAR = 0.2
MOST = 150
"""Inches of a bar, and how many a figure holds."""

RARE = "low-frequency classes (count at or below the 25th percentile of the counts)"


@figure("1", Needs(roles=("multi-label",)))
def multi_label_counts(inputs: FigureInputs) -> "Figure":
    """Label counts of the multi-label set, most frequent first.

    Source: Panigrahi & Zhu (2023), Fig. 1.
    """
    return _counts(_given(inputs.multi, "multi-label"))


@figure("3", Needs(roles=("single-label",)))
def single_label_counts(inputs: FigureInputs) -> "Figure":
    """Label counts of the single-label set, most frequent first.

    Source: Panigrahi & Zhu (2023), Fig. 3.
    """
    return _counts(_given(inputs.single, "single-label"))


@figure("5", Needs(roles=("multi-label",), resampled=True))
def resampled_counts(inputs: FigureInputs) -> "Figure":
    """Label counts of one epoch of the multi-label set after undersampling (a) and oversampling (b).

    Source: Panigrahi & Zhu (2023), Fig. 5a and 5b.
    """
    dataset = _given(inputs.multi, "multi-label")
    both = {"undersampling": inputs.undersampled, "oversampling": inputs.oversampled}
    drawn = {verb: given for verb, given in both.items() if given is not None}
    if not drawn:
        raise DatasetError(
            "no resampled labels were given", "Hand over the rows of an undersampling or oversampling plan"
        )
    footer = [
        f"Data: {dataset_phrase(dataset)}; counted on the training part. Bars: images of the class in one "
        "epoch; an image drawn twice counts twice; in brackets, what the class had before. An image brings "
        "all of its labels along, so multi-label counts cannot be made equal.",
        *(f"No panel for {verb}: its rows were not given." for verb in both if verb not in drawn),
    ]
    height = 0.75 + BAR * len(dataset.class_names)
    panels = [(_epoch(verb, given), height) for verb, given in drawn.items()]
    result, subfigures = page(f"Label counts of {shorten(dataset.name)} after resampling", footer, panels)
    for subfigure, given in zip(subfigures, drawn.values(), strict=True):
        _resampled_panel(subfigure.subplots(), dataset, given)
    return result


def _given(dataset: Dataset | None, role: Task) -> Dataset:
    if dataset is None:
        raise DatasetError(f"no {role} data set was given", "Name one with --dataset")
    if len(dataset.class_names) > MOST:
        raise DatasetError(
            f"{dataset.name} has {len(dataset.class_names)} classes; a figure of counts holds {MOST}",
            "Keep the classes that matter",
        )
    return dataset


def _counts(dataset: Dataset) -> "Figure":
    counts = class_counts(dataset.labels)
    rare = low_frequency(counts)
    most, fewest = int(counts.max()), int(counts.min())
    ratio = f"{most / fewest:,.0f} to 1" if fewest else "unbounded, a class has no image"
    footer = [
        f"Data: {dataset_phrase(dataset)}. Bars: images that carry the class, with their share of all "
        f"images. Mean {counts.mean():,.1f}, standard deviation {counts.std():,.1f} images a class; "
        f"most to least frequent {ratio}."
    ]
    height = 0.6 + BAR * len(counts)
    legend = [_patch("other classes", rare=False), _patch(RARE, rare=True)]
    result, (panel,) = page(f"Label counts of {shorten(dataset.name)}", footer, [("", height)], legend)
    texts = [f"{count:,} ({count / len(dataset):.1%})" for count in counts]
    _bars(panel.subplots(), dataset.class_names, counts, counts, texts, rare)
    return result


def _epoch(verb: str, given: Resampled) -> str:
    setting = f" ({given.setting})" if given.setting else ""
    rows, images = len(given.rows), len(given.labels)
    return f"after {verb}{setting}: {rows:,} rows an epoch, from {images:,} training images"


def _resampled_panel(axes: "Axes", dataset: Dataset, given: Resampled) -> None:
    before = class_counts(given.labels)
    drawn = np.bincount(given.rows, minlength=len(given.labels))
    after = drawn @ given.labels.astype(np.int64)
    texts = [f"{now:,} (was {was:,})" for now, was in zip(after, before, strict=True)]
    _bars(
        axes,
        dataset.class_names,
        after,
        before,
        texts,
        np.zeros(len(after), dtype=bool),
        "images in one epoch",
    )


def _bars(
    axes: "Axes",
    names: tuple[str, ...],
    counts: NDArray[np.int64],
    order_by: NDArray[np.int64],
    texts: list[str],
    rare: NDArray[np.bool_],
    unit: str = "images",
) -> None:
    """Horizontal bars from the top down in descending `order_by`, each with its text at the end."""
    from matplotlib.ticker import MaxNLocator

    order = np.argsort(-order_by, kind="stable")
    places = np.arange(len(order))
    bars = axes.barh(places, counts[order], height=0.72, **_look(rare=False))
    for bar, is_rare in zip(bars, rare[order], strict=True):
        bar.set(**_look(rare=bool(is_rare)))
    axes.bar_label(bars, [texts[i] for i in order], padding=3, fontsize=7)
    axes.set_yticks(places, [shorten(names[i]) for i in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, max(1, counts.max()) * 1.22)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.set_xlabel(unit)
    axes.tick_params(axis="y", length=0)


def _look(*, rare: bool) -> dict[str, Any]:
    return (
        {"facecolor": SKY, "edgecolor": VERMILLION, "hatch": "////"}
        if rare
        else {"facecolor": BLUE, "edgecolor": BLUE}
    )


def _patch(label: str, *, rare: bool) -> "Patch":
    from matplotlib.patches import Patch

    return Patch(label=label, **_look(rare=rare))
