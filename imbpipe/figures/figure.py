"""What a figure is: a function of the same inputs as all others, and the runs that it needs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

from imbpipe.datasets.dataset import Dataset
from imbpipe.experiments.setting import Setting
from imbpipe.figures.page import style
from imbpipe.registry import Registry
from imbpipe.types import Labels, Rows, Task

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES: Registry = Registry("figure", package="imbpipe.figures")


@dataclass(frozen=True)
class Needs:
    """What must be at hand before a figure can be drawn.

    roles: data sets by their task: the multi-label set, the single-label set, or both.
    runs: what it shows the results of, with the paper's parameters; on a data set that stands in for
        the paper's, a strategy's defaults do as well.
    encoders: how many of the encoders it shows, counted from the first.
    resampled: whether it counts the rows that resampling plans draw; no run is trained for it.
    images: whether it opens image files.
    """

    roles: tuple[Task, ...] = ()
    runs: tuple[Setting, ...] = ()
    encoders: int = 0
    resampled: bool = False
    images: bool = False


@dataclass(frozen=True, eq=False)
class Resampled:
    """A data set as a resampling plan draws it.

    labels: (n, c) of the training images. rows: (m,) rows of one epoch, repeats allowed.
    setting: the strategy's own, such as "threshold=200"; empty for its default.
    """

    labels: Labels
    rows: Rows
    setting: str = ""


@dataclass(frozen=True, eq=False)
class FigureInputs:
    """What figures are drawn from; each takes what it needs and says what is missing.

    multi, single: the multi-label and the single-label set.
    undersampled, oversampled: the multi-label set's training images under either strategy.
    results: one row a (run, class), see `imbpipe.figures.summary.COLUMNS`.
    metric: the column of `results` on the y axis.
    encoders: names for the panels, in order; the first stands for the paper's CLIP.
    """

    multi: Dataset | None = None
    single: Dataset | None = None
    undersampled: Resampled | None = None
    oversampled: Resampled | None = None
    results: "pd.DataFrame | None" = None
    metric: str = "ap"
    encoders: tuple[str, ...] = ("clip", "resnet18")


def figure(name: str, needs: Needs) -> Callable[[Callable[[FigureInputs], "Figure"]], Callable]:
    """Register the decorated function, which `needs` that, as figure `name`, in the style of all."""

    def register(function: Callable[[FigureInputs], "Figure"]) -> Callable:
        @wraps(function)
        def drawn(inputs: FigureInputs) -> "Figure":
            with style():
                return function(inputs)

        drawn.needs = needs  # type: ignore[attr-defined]  # read back by needs_of
        return FIGURES.add(name)(drawn)

    return register


def needs_of(name: str) -> Needs:
    """What figure `name` needs; nothing where another package registered it without saying.

    Raises UnknownNameError.
    """
    return getattr(FIGURES[name], "needs", Needs())


def names() -> list[str]:
    """All figures, the paper's first in the paper's order."""
    return sorted(FIGURES, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))


def names_for(compared: Collection[str]) -> list[str]:
    """The figures of an experiment: the paper's, and of others those whose strategies it compares.

    compared: names of strategies.
    """
    return [
        name
        for name in names()
        if name.isdigit() or {run.strategy for run in needs_of(name).runs} <= {"baseline", *compared}
    ]
