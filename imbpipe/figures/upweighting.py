"""Figures 6, 7, 8 and 11: what multiplying the loss of low-frequency classes does to each class."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.evaluation.intervals import Interval
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.figures.figure import FigureInputs, Needs, figure
from imbpipe.figures.footer import results_footer
from imbpipe.figures.marks import (
    LOOKS,
    UNDEFINED,
    Look,
    baseline_level,
    dots,
    keys,
    looks_of,
    one_range,
    reference_level,
)
from imbpipe.figures.metric import metric_label
from imbpipe.figures.page import WIDTH, page
from imbpipe.figures.summary import Panel, Shown, group_name, shown
from imbpipe.figures.text import class_label, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FACTORS = (1, 1.5, 2, 2.5, 3, 5, 10)
RUNS = (BASELINE, *(Setting.of("upweight", factor=factor) for factor in FACTORS))
MULTI_BOTH = Needs(roles=("multi-label",), runs=RUNS, encoders=2)
SINGLE_FIRST = Needs(roles=("single-label",), runs=RUNS, encoders=1)

ROW = 1.3
"""Inches of a row of small multiples."""

CHARACTER = 0.067
"""Inches of a character of a class's label, a wide one."""

Curves = dict[str, dict[float, Interval]]
"""Of each variant of up-weighting, of each factor: the intervals of the classes, in their order."""


@figure("6", MULTI_BOTH)
def multi_label_low_frequency(inputs: FigureInputs) -> "Figure":
    """Up-weighting on the multi-label set, low-frequency classes, one panel an encoder.

    Source: Panigrahi & Zhu (2023), Fig. 6.
    """
    return _upweighting(shown(inputs, "multi-label", MULTI_BOTH), low=True)


@figure("7", MULTI_BOTH)
def multi_label_remaining(inputs: FigureInputs) -> "Figure":
    """Up-weighting on the multi-label set, remaining classes, one panel an encoder.

    Source: Panigrahi & Zhu (2023), Fig. 7a and 7b.
    """
    return _upweighting(shown(inputs, "multi-label", MULTI_BOTH), low=False)


@figure("8", SINGLE_FIRST)
def single_label_low_frequency(inputs: FigureInputs) -> "Figure":
    """Up-weighting on the single-label set, low-frequency classes, the first encoder.

    Source: Panigrahi & Zhu (2023), Fig. 8.
    """
    return _upweighting(shown(inputs, "single-label", SINGLE_FIRST), low=True)


@figure("11", SINGLE_FIRST)
def single_label_remaining(inputs: FigureInputs) -> "Figure":
    """Up-weighting on the single-label set, remaining classes, the first encoder.

    Source: Panigrahi & Zhu (2023), Fig. 11.
    """
    return _upweighting(shown(inputs, "single-label", SINGLE_FIRST), low=False)


def _upweighting(results: Shown, *, low: bool) -> "Figure":
    classes = results.classes(low=low)
    names = list(classes["class_name"])
    curves = [_curves(results, panel, names) for panel in results.panels]
    variants = sorted({variant for of_panel in curves for variant in of_panel})
    looks = looks_of(variants, LOOKS[1:])
    series = {f"up-weighted{', ' * bool(variant)}{variant}": look for variant, look in looks.items()}
    rows, columns = _grid(len(names))
    result, subfigures = page(
        f"Up-weighting on {shorten(results.dataset.name)}: {group_name(low=low)}",
        results_footer(results),
        [(panel.title, 0.5 + max(1.8, ROW * rows)) for panel in results.panels],
        keys(results, series, "factor 1 (baseline)", joined=True),
    )
    drawn: list[Axes] = []
    for subfigure, of_panel in zip(subfigures, curves, strict=True):
        subfigure.supylabel(metric_label(results.metric), fontsize=8)
        subfigure.supxlabel("factor on the loss of low-frequency classes", fontsize=8)
        grid = list(subfigure.subplots(rows, columns, squeeze=False).flat)
        _titles(grid, classes, columns)
        for index, (axes, name) in enumerate(zip(grid, names, strict=False)):
            _multiple(axes, results, name, index, of_panel, looks)
        drawn += grid[: len(names)]
    one_range(drawn)
    return result


def _curves(results: Shown, panel: Panel, names: Sequence[str]) -> Curves:
    """Factor 1 is the baseline where it was not trained by itself."""
    upweighted = panel.rows[panel.rows["strategy"] == "upweight"]
    baseline = panel.rows[panel.rows["strategy"] == "baseline"]
    curves: Curves = {}
    for (setting, parameters), rows in upweighted.groupby(["setting", "parameters"]):
        parts = str(setting).split(", ")
        variant = ", ".join(part for part in parts if part and not part.startswith("factor="))
        curve = curves.setdefault(variant, {1.0: results.intervals(baseline, names)} if len(baseline) else {})
        curve[float(json.loads(str(parameters))["factor"])] = results.intervals(rows, names)
    return curves


def _grid(classes: int) -> tuple[int, int]:
    """Rows and columns for so many small multiples: five to three in a row, with the fewest places empty."""
    columns = min((5, 4, 3), key=lambda c: -classes % c)
    return math.ceil(classes / columns), columns


def _titles(grid: "Sequence[Axes]", classes: "pd.DataFrame", columns: int) -> None:
    """A class above each of the small multiples, numbers only beside the first of a row."""
    longest = int((WIDTH - 0.6) / columns / CHARACTER) - 1
    labels = [class_label(name, count, longest=longest) for name, count in classes.itertuples(index=False)]
    if max(map(len, labels)) > longest:
        labels = [label.replace(" (n=", "\n(n=") for label in labels]
    for place, (axes, label) in enumerate(zip(grid, labels, strict=False)):
        axes.set_title(label)
        axes.tick_params(labelleft=place % columns == 0)
    for axes in grid[len(labels) :]:
        axes.remove()


def _multiple(
    axes: "Axes", results: Shown, name: str, index: int, curves: Curves, looks: dict[str, Look]
) -> None:
    factors = sorted({factor for curve in curves.values() for factor in curve})
    ends = (-0.5, len(factors) - 0.5)
    axes.set_xticks(range(len(factors)), [f"{factor:g}" for factor in factors])
    axes.set_xlim(ends)
    reference_level(axes, results, name, ends)
    for shift, (variant, curve) in enumerate(curves.items()):
        known = sorted(curve)
        places = np.array([factors.index(factor) + 0.15 * shift for factor in known])
        mean, low, high = (
            np.array([getattr(curve[f], part)[index] for f in known]) for part in ("mean", "low", "high")
        )
        if 1.0 in curve:
            baseline_level(axes, curve[1.0].mean[index], ends)
        dots(axes, places, mean, low, high, looks[variant], joined=True)
        if np.isnan(mean).all():
            axes.text(0.5, 0.5, UNDEFINED, ha="center", va="center", transform=axes.transAxes)
