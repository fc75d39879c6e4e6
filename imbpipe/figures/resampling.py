"""Figures 9, 10 and 12: baseline, undersampling and oversampling, class by class."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.figures.figure import FigureInputs, Needs, figure
from imbpipe.figures.footer import results_footer
from imbpipe.figures.marks import (
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

MULTI_BOTH = Needs(
    roles=("multi-label",),
    runs=(BASELINE, Setting.of("undersample", threshold=200), Setting.of("oversample", threshold=30_000)),
    encoders=2,
)
SINGLE_FIRST = Needs(
    roles=("single-label",),
    runs=(BASELINE, Setting.of("undersample"), Setting.of("oversample")),
    encoders=1,
)
VERBS = {"baseline": "baseline", "undersample": "undersampling", "oversample": "oversampling"}

CHARACTER = 0.065
"""Inches of a character of a class's label, a wide one."""

SLANT = 40
"""Degrees of class names that do not fit side by side."""

LONGEST = 28
"""Characters of a slanted name; a longer one loses its middle."""


@figure("9", MULTI_BOTH)
def multi_label_low_frequency(inputs: FigureInputs) -> "Figure":
    """Resampling on the multi-label set, low-frequency classes, most frequent first, one panel an encoder.

    Source: Panigrahi & Zhu (2023), Fig. 9a and 9b.
    """
    results = shown(inputs, "multi-label", MULTI_BOTH)
    return _resampling(results, MULTI_BOTH, [(panel, True) for panel in results.panels])


@figure("10", MULTI_BOTH)
def multi_label_remaining(inputs: FigureInputs) -> "Figure":
    """Resampling on the multi-label set, remaining classes, rarest first, one panel an encoder.

    Source: Panigrahi & Zhu (2023), Fig. 10a and 10b.
    """
    results = shown(inputs, "multi-label", MULTI_BOTH)
    return _resampling(results, MULTI_BOTH, [(panel, False) for panel in results.panels])


@figure("12", SINGLE_FIRST)
def single_label(inputs: FigureInputs) -> "Figure":
    """Resampling on the single-label set, low-frequency (a) and remaining classes (b), the first encoder.

    Source: Panigrahi & Zhu (2023), Fig. 12a and 12b.
    """
    results = shown(inputs, "single-label", SINGLE_FIRST)
    return _resampling(results, SINGLE_FIRST, [(results.panels[0], low) for low in (True, False)])


def _resampling(results: Shown, needs: Needs, parts: list[tuple[Panel, bool]]) -> "Figure":
    """parts: of each panel its encoder's results, and whether it shows the low-frequency classes."""
    series = [_series(panel, needs) for panel, _ in parts]
    looks = looks_of(name for of_part in series for name in of_part)
    classes = {low: results.classes(low=low) for low in dict.fromkeys(low for _, low in parts)}
    groups = " and ".join(group_name(low=low) for low in classes).replace(" classes and", " and")
    result, subfigures = page(
        f"Resampling on {shorten(results.dataset.name)}: {groups}",
        results_footer(results),
        [(_heading(panel, low, len(classes)), 2.0 + _labels(classes[low])[1]) for panel, low in parts],
        keys(results, looks, "baseline's mean", joined=False),
    )
    drawn = []
    for subfigure, (_, low), of_part in zip(subfigures, parts, series, strict=True):
        axes = subfigure.subplots()
        rows = classes[low] if low else classes[low][::-1]
        _class_axis(axes, rows)
        axes.set_xlabel(f"{group_name(low=low)}, {'most frequent' if low else 'rarest'} first")
        axes.set_ylabel(metric_label(results.metric))
        _draw(axes, results, of_part, list(rows["class_name"]), looks)
        drawn.append(axes)
    one_range(drawn)
    return result


def _heading(panel: Panel, low: bool, groups: int) -> str:
    return f"{panel.title}, {group_name(low=low)}" if groups > 1 else panel.title


def _series(panel: Panel, needs: Needs) -> "dict[str, pd.DataFrame]":
    """Rows by name in the legend, one a setting; where the paper's own are among the results, those alone."""
    series = {}
    for wanted in needs.runs:
        rows = panel.rows[panel.rows["strategy"] == wanted.strategy]
        papers = rows[rows["parameters"] == wanted.parameters]
        for setting, of_setting in (papers if len(papers) else rows).groupby("setting"):
            detail = f" ({setting!s})" if setting else ""
            series[VERBS[wanted.strategy] + detail] = of_setting
    return series


def _labels(classes: "pd.DataFrame") -> tuple[list[str], float]:
    """Class labels and the inches of height they need; slanted where their lines are single."""
    pairs = list(classes.itertuples(index=False))
    if max(len(shorten(name)) for name, _ in pairs) * CHARACTER < (WIDTH - 0.8) / len(pairs):
        return [class_label(name, count).replace(" (n=", "\n(n=") for name, count in pairs], 0.2
    labels = [class_label(name, count, longest=LONGEST) for name, count in pairs]
    return labels, math.sin(math.radians(SLANT)) * CHARACTER * max(map(len, labels))


def _class_axis(axes: "Axes", classes: "pd.DataFrame") -> None:
    """Class names along x, every other class on a shaded band."""
    labels, _ = _labels(classes)
    slanted: dict[str, Any] = (
        {} if "\n" in labels[0] else {"rotation": SLANT, "ha": "right", "rotation_mode": "anchor"}
    )
    axes.set_xticks(range(len(labels)), labels, **slanted)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.tick_params(axis="x", length=0)
    for place in range(0, len(labels), 2):
        axes.axvspan(place - 0.5, place + 0.5, color="#F4F4F4", linewidth=0, zorder=0)


def _draw(
    axes: "Axes", results: Shown, series: "dict[str, pd.DataFrame]", names: list[str], looks: dict[str, Look]
) -> None:
    offsets = (np.arange(len(series)) - (len(series) - 1) / 2) * min(0.24, 0.6 / len(series))
    intervals = {label: results.intervals(rows, names) for label, rows in series.items()}
    for place, name in enumerate(names):
        ends = (place - 0.4, place + 0.4)
        reference_level(axes, results, name, ends)
        if "baseline" in intervals:
            baseline_level(axes, intervals["baseline"].mean[place], ends)
    for offset, (label, found) in zip(offsets, intervals.items(), strict=True):
        dots(axes, np.arange(len(names)) + offset, found.mean, found.low, found.high, looks[label])
    where = axes.get_xaxis_transform()
    for empty in np.flatnonzero(np.isnan([found.mean for found in intervals.values()]).all(axis=0)):
        axes.text(
            float(empty), 0.5, UNDEFINED, rotation=90, ha="center", va="center", fontsize=7, transform=where
        )
