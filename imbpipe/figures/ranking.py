"""A ranking as a forest plot: each strategy's difference from the baseline, rare classes beside the rest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imbpipe.evaluation.verdict import BETTER, EQUIVALENT, UNKNOWN, WORSE
from imbpipe.experiments.ranking import Difference, Ranking
from imbpipe.figures.marks import Look
from imbpipe.figures.metric import meaning, metric_phrase
from imbpipe.figures.page import BLUE, GREEN, GREY, SMALL, VERMILLION, page, style
from imbpipe.figures.text import shorten

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    BETTER: Look(GREEN, "o", "-"),
    EQUIVALENT: Look(BLUE, "s", "-"),
    WORSE: Look(VERMILLION, "X", "-"),
    UNKNOWN: Look(GREY, "D", "-"),
}
ROW, LONGEST = 0.2, 40
"""Inches of a row; characters of its label."""


def draw_ranking(ranking: Ranking, title: str, notes: Sequence[str] = ()) -> "Figure":
    """Best on the low-frequency classes at the top. notes: further lines of the footer."""
    with style():
        return _draw(ranking, title, notes)


def _draw(ranking: Ranking, title: str, notes: Sequence[str]) -> "Figure":
    rows = [row for row in ranking.rows if row.on_low_frequency and row.on_remaining]
    footer = [
        "Differences from the baseline, with 95 % intervals over test images, seeds and splits.",
        f"{ranking.metric}: {meaning(ranking.metric)}",
        *notes,
    ]
    result, [body] = page(title, footer, [("", 0.8 + ROW * max(1, len(rows)))], _keys())
    left, right = body.subplots(1, 2, sharey=True)
    names = [shorten(f"{row.strategy} {row.setting}".strip(), LONGEST) for row in rows]
    for axes, heading, shown in (
        (left, "low-frequency classes", [row.on_low_frequency for row in rows]),
        (right, "remaining classes", [row.on_remaining for row in rows]),
    ):
        axes.set_title(heading, loc="left")
        axes.set_xlabel(f"difference in {metric_phrase(ranking.metric)}", fontsize=SMALL)
        axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
        for y, difference in enumerate(shown):
            assert difference is not None
            _mark(axes, y, difference)
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
    left.set_yticks(range(len(rows)), names)
    left.set_ylim(len(rows) - 0.5, -0.5)
    return result


def _mark(axes: "Axes", y: int, difference: Difference) -> None:
    if difference.estimate != difference.estimate:
        place = axes.get_yaxis_transform()
        axes.text(0.5, y, "cannot be measured", transform=place, ha="center", va="center", fontsize=SMALL)
        return
    look, value = LOOKS[difference.verdict], difference.estimate
    known = difference.low == difference.low
    ends = [[value - difference.low], [difference.high - value]] if known else None
    axes.errorbar(
        value, y, xerr=ends, color=look.colour, marker=look.marker, markersize=4, capsize=2, elinewidth=1
    )


def _keys() -> list["Artist"]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linewidth=1, label=verdict)
        for verdict, look in LOOKS.items()
    ]
