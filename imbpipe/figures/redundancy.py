"""Redundancy curves: the score against the number of training rows kept, a line a criterion."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.errors import ResultsError
from imbpipe.evaluation.intervals import Interval, t_interval
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.figures.figure import FigureInputs, Needs, figure
from imbpipe.figures.footer import results_footer
from imbpipe.figures.marks import LOOKS, Look, baseline_level, dots, keys, looks_of, one_range
from imbpipe.figures.metric import metric_label
from imbpipe.figures.page import page
from imbpipe.figures.summary import Panel, Shown, group_name, shown
from imbpipe.figures.text import shorten
from imbpipe.strategies.selection.criterion import CRITERIA
from imbpipe.types import Task

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_CLASS = {"undersample": "random", **{name: name for name in CRITERIA if name != "random"}}
"""Strategies that keep a number of images a class, and the criterion of each."""

RUNS = (BASELINE, *(Setting.of(name) for name in ("subset", *PER_CLASS)))
MULTI, SINGLE = (Needs(roles=(role,), runs=RUNS, encoders=2) for role in ("multi-label", "single-label"))
REMEDY = "Run: imbpipe compare experiments/redundancy.toml"
KINDS = {True: "a share of all images, imbalance as it is", False: "a number of images a class"}
"""By whether it is `subset`."""

MANY_LOOKS = (*LOOKS, Look("#8C564B", "<", "--"), Look("#6B6B00", ">", ":"))
HEIGHT = 4.0
"""Inches of an encoder's panel."""

APART = 1.02
"""By what the places of one criterion and the next differ, so that all are seen."""


@figure("redundancy", MULTI)
def multi_label_redundancy(inputs: FigureInputs) -> "Figure":
    """Score against training rows kept, a line a criterion, on the multi-label set.

    Source: Panigrahi & Zhu (2023), section 6, asks for it.
    """
    return _redundancy(inputs, "multi-label", MULTI)


@figure("redundancy-single-label", SINGLE)
def single_label_redundancy(inputs: FigureInputs) -> "Figure":
    """Score against training rows kept, a line a criterion, on the single-label set.

    Source: Panigrahi & Zhu (2023), section 6, asks for it.
    """
    return _redundancy(inputs, "single-label", SINGLE)


def _redundancy(inputs: FigureInputs, task: Task, needs: Needs) -> "Figure":
    results = shown(inputs, task, needs, REMEDY)
    if "rows" not in results.rows:
        raise ResultsError("the results do not say how many rows were kept", REMEDY)
    results, left_out = _defined(results)
    used = set(results.rows[results.rows["strategy"] != "baseline"].apply(_criterion, axis=1))
    series = looks_of([name for name in CRITERIA if name in used], MANY_LOOKS)
    whole = results.rows[results.rows["strategy"] == "baseline"]["rows"].max()
    classes = {low: len(results.classes(low=low)) for low in (True, False)}
    result, bodies = page(
        f"How few images do: {shorten(results.dataset.name)}",
        [
            *results_footer(results),
            f"Rows kept out of {whole:,.0f} training images; every head passes over its own equally often, "
            "so fewer rows are fewer steps too. Points of the same size stand a little apart.",
            *left_out,
        ],
        [(panel.title, HEIGHT) for panel in results.panels],
        keys(replace(results, metric=""), series, "all training images (baseline)", joined=True),
    )
    rows_of_axes: dict[bool, list[Axes]] = {True: [], False: []}
    for body, panel in zip(bodies, results.panels, strict=True):
        grid = body.subplots(2, 2, sharex=True, squeeze=False)
        body.supylabel(f"{metric_label(results.metric)}, mean over classes", fontsize=8)
        body.supxlabel("training rows kept", fontsize=8)
        for line, low in zip(grid, (True, False), strict=True):
            for axes, share in zip(line, KINDS, strict=True):
                _curves(axes, panel, results.metric, low, share, series)
                axes.tick_params(labelleft=share)
                rows_of_axes[low].append(axes)
                if low:
                    axes.set_title(KINDS[share])
            line[0].set_ylabel(f"{classes[low]} {group_name(low=low)}", fontsize=7.5)
    for axes_of_group in rows_of_axes.values():
        one_range(axes_of_group)
    return result


def _defined(results: Shown) -> tuple[Shown, list[str]]:
    """Without the classes that have no value in some run, so that every mean is over the same classes."""
    rows = results.rows
    undefined = sorted(rows.loc[rows[results.metric].isna(), "class_name"].unique())
    if not undefined:
        return results, []
    panels = tuple(
        replace(panel, rows=panel.rows[~panel.rows["class_name"].isin(undefined)]) for panel in results.panels
    )
    return replace(results, panels=panels), [
        f"Undefined on the test part, so in no mean: {', '.join(undefined)}."
    ]


def _criterion(row: "pd.Series") -> str:
    if row["strategy"] == "subset":
        return str(json.loads(row["parameters"])["by"])
    return PER_CLASS[row["strategy"]]


def _curves(axes: "Axes", panel: Panel, metric: str, low: bool, share: bool, series: dict[str, Look]) -> None:
    rows = panel.rows[panel.rows["low_frequency"] == low]
    baseline = rows[rows["strategy"] == "baseline"]
    chosen = rows[(rows["strategy"] == "subset") == share]
    chosen = chosen[chosen["strategy"] != "baseline"]
    ends = _scale(axes, panel.rows["rows"].min(), panel.rows["rows"].max())
    if len(baseline):
        baseline_level(axes, float(_over_runs(baseline, metric).mean), ends)
    if chosen.empty:
        return
    for name, of_name in chosen.groupby(chosen.apply(_criterion, axis=1)):
        points = [
            (float(one["rows"].mean()), _over_runs(one, metric)) for _, one in of_name.groupby("parameters")
        ]
        points.sort(key=lambda point: point[0])
        kept = np.array([place for place, _ in points]) * APART ** (
            list(series).index(str(name)) - (len(series) - 1) / 2
        )
        mean, lower, upper = (
            np.array([float(getattr(found, part)) for _, found in points]) for part in ("mean", "low", "high")
        )
        dots(axes, kept, mean, lower, upper, series[str(name)], joined=True)


def _scale(axes: "Axes", least: float, most: float) -> tuple[float, float]:
    """Logarithmic, with round numbers of rows; returns its ends."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ends = (least * 0.8, most * 1.25)
    axes.set_xscale("log")
    axes.set_xlim(ends)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 1000 * least else (1,)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    return ends


def _over_runs(rows: "pd.DataFrame", metric: str) -> Interval:
    """The mean over classes of each run, and the interval over runs."""
    return t_interval(rows.groupby(["seed", "split"])[metric].mean().to_numpy())
