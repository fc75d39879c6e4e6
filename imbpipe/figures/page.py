"""One look for all figures: a page's width, a title, panels, and a footer that says what is shown."""

import string
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from imbpipe.figures.fonts import families

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure, SubFigure

WIDTH = 7.2
"""Inches: the text width of a page."""

SMALL = 7.0
"""Points: the smallest type on a figure."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#777777"
"""Okabe and Ito's colours (2008), told apart by colour-blind readers; grey for references."""

FOOTER_CHARACTERS = 134
TITLE, LEGEND, LINE = 0.34, 0.2, 0.135
"""Characters of a line of the footer; inches of the title, a line of the legend, a line of the footer."""


def style() -> AbstractContextManager[None]:
    """Matplotlib's own defaults, whatever the user's are, with this project's on top."""
    import matplotlib.style

    own = {
        "font.family": families(),
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "legend.borderpad": 0,
        "legend.borderaxespad": 0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "hatch.linewidth": 0.6,
        "text.parse_math": False,
        "figure.dpi": 150,
        "savefig.dpi": 150,
        "figure.constrained_layout.w_pad": 0.07,
        "pdf.fonttype": 42,
        "svg.hashsalt": "imbpipe",
    }
    return matplotlib.style.context(["default", own])


def page(
    title: str,
    footer: Sequence[str],
    panels: Sequence[tuple[str, float]],
    legend: Sequence["Artist"] = (),
) -> tuple["Figure", list["SubFigure"]]:
    """A figure with one panel below another, a title above them and a footer below.

    panels: heading and inches of height of each; several are lettered.
    legend: labelled artists, shown under the title.
    """
    from imbpipe.figures.shown import Shown

    lines = _lines(legend)
    foot = [line for text in footer for line in textwrap.wrap(text, FOOTER_CHARACTERS)]
    rows = [TITLE + LEGEND * len(lines), *(height for _, height in panels), LINE * len(foot) + 0.14]
    figure = Shown(figsize=(WIDTH, sum(rows)), layout="constrained")
    top, *bodies, bottom = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
    top.text(0.01, 1 - 0.08 / rows[0], title, fontsize=10, fontweight="bold", va="top")
    for i, line in enumerate(reversed(lines)):
        place = (0.01, (0.05 + LEGEND * i) / rows[0])
        top.legend(handles=line, loc="lower left", bbox_to_anchor=place, ncols=len(line), columnspacing=1.3)
    for letter, body, (heading, _) in zip(string.ascii_lowercase, bodies, panels, strict=False):
        text = f"{letter}  {heading}" if len(panels) > 1 else heading
        if heading:
            body.suptitle(text, x=0.01, ha="left", fontsize=9)
    small: dict[str, Any] = {"fontsize": SMALL, "color": "#333333", "linespacing": 1.25}
    bottom.text(0.01, 0.07 / rows[-1], "\n".join(foot), va="bottom", **small)
    return figure, bodies


def _lines(legend: Sequence["Artist"]) -> list[list["Artist"]]:
    """Legend entries in lines that fit the page: an entry takes its sample and its letters."""
    lines: list[list[Artist]] = []
    room = 0.0
    for artist in legend:
        width = 0.45 + 0.057 * len(str(artist.get_label()))
        if width > room:
            lines.append([])
            room = WIDTH
        lines[-1].append(artist)
        room -= width
    return lines
