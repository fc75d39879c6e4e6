"""How results look: a colour, marker and line a series, bars for intervals, levels to compare with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.figures.metric import REFERENCES
from imbpipe.figures.page import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from imbpipe.figures.summary import Shown

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Look:
    """Told apart by its marker and line where colours cannot be."""

    colour: str
    marker: str
    line: str


LOOKS = (
    Look(BLACK, "o", "-"),
    Look(BLUE, "s", "-"),
    Look(VERMILLION, "^", "-."),
    Look(GREEN, "D", "--"),
    Look(PURPLE, "v", ":"),
    Look(ORANGE, "P", "--"),
    Look(SKY, "X", "-."),
)
"""The first is the baseline's, or the only one's."""

UNDEFINED = "undefined on\nthe test part"
"""Stands where a class has no value, most often for want of a positive image."""


def looks_of(series: Iterable[str], looks: Sequence[Look] = LOOKS) -> dict[str, Look]:
    """A look for each series, in order. Raises ResultsError: more series than can be told apart."""
    names = list(dict.fromkeys(series))
    if len(names) > len(looks):
        raise ResultsError(
            f"{len(names)} settings in one figure, which can tell {len(looks)} apart: {'; '.join(names)}",
            "Keep fewer in the experiment",
        )
    return dict(zip(names, looks, strict=False))


def dots(
    axes: "Axes",
    places: NDArray[np.float64],
    mean: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    look: Look,
    *,
    joined: bool = False,
) -> None:
    """Means as markers with their intervals as bars, each (n,); what is NaN leaves a gap."""
    axes.errorbar(
        places,
        mean,
        yerr=np.nan_to_num([mean - low, high - mean]),
        color=look.colour,
        marker=look.marker,
        markersize=2.8,
        linestyle=look.line if joined else "none",
        linewidth=0.9,
        elinewidth=0.9,
        capsize=2,
        zorder=3,
    )


def baseline_level(axes: "Axes", mean: float, ends: tuple[float, float]) -> None:
    """The baseline's mean, from one x to another."""
    axes.plot(ends, [mean, mean], **_level(dotted=False))


def reference_level(axes: "Axes", results: Shown, class_name: str, ends: tuple[float, float]) -> None:
    """The level that the metric is worth comparing with, where it has one."""
    if results.metric in REFERENCES:
        value = REFERENCES[results.metric][1](results.share(class_name))
        axes.plot(ends, [value, value], **_level(dotted=True))


def one_range(drawn: Sequence["Axes"]) -> None:
    """One y range for all, wide enough for everything drawn; an interval is cut where 0 to 1 ends."""
    low, high = min(a.dataLim.ymin for a in drawn), max(a.dataLim.ymax for a in drawn)
    means = np.concatenate([line.get_ydata() for a in drawn for line in a.lines])
    if np.nanmin(means) >= 0 and np.nanmax(means) <= 1:
        low, high = max(low, 0.0), min(high, 1.0)
    from matplotlib.ticker import MaxNLocator

    pad = 0.06 * ((high - low) or 0.1)
    for a in drawn:
        a.set_ylim(low - pad, high + pad)
        a.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
        a.grid(axis="y", color="#DDDDDD", linewidth=0.5)
        a.set_axisbelow(True)


def keys(results: Shown, series: dict[str, Look], baseline: str, *, joined: bool) -> list["Artist"]:
    """The legend: each series, what bars mean, what lines mean."""
    from matplotlib.lines import Line2D

    def key(label: str, **look: Any) -> Line2D:
        return Line2D([], [], label=label, **look)

    handles: list[Artist] = [
        key(
            name,
            color=look.colour,
            marker=look.marker,
            markersize=4,
            linestyle=look.line if joined else "none",
        )
        for name, look in series.items()
    ]
    if results.repeated:
        handles.append(key("95 % interval", color=GREY, marker="|", markersize=9, linestyle="none"))
    handles.append(key(baseline, **_level(dotted=False)))
    if results.metric in REFERENCES:
        handles.append(key(REFERENCES[results.metric][0], **_level(dotted=True)))
    return handles


def _level(*, dotted: bool) -> dict[str, Any]:
    return {
        "color": GREY,
        "linewidth": 1.2 if dotted else 0.9,
        "linestyle": ":" if dotted else "--",
        "zorder": 2,
    }
