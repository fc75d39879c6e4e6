"""Figure 2: what undersampling and oversampling do to a training set, as a drawing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imbpipe.figures.figure import FigureInputs, Needs, figure
from imbpipe.figures.page import BLACK, BLUE, GREEN, GREY, ORANGE, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

CLASSES = {"common": (BLUE, "white"), "less common": (ORANGE, BLACK), "rare": (GREEN, "white")}
"""Colour of a class's images and of the number on them."""

BEFORE = (tuple(range(1, 11)), (1, 2, 3, 4, 5), (1, 2))
KEPT = ((4, 9), (2, 5), (1, 2))
AGAIN = ((), (3, 1, 5, 2, 2), (2, 1, 1, 2, 2, 1, 2, 1))
"""Image numbers of each class: at hand, kept by undersampling, drawn again by oversampling."""

STEP = 2.5
"""Between two stacks, in widths of an image."""


@figure("2", Needs())
def schematic(inputs: FigureInputs) -> "Figure":
    """A schematic of undersampling and oversampling, images as tiles; it shows no data.

    Source: Panigrahi & Zhu (2023), Fig. 2.
    """
    footer = [
        "A schematic, not data. A tile is an image, its number tells images of a class apart. Undersampling "
        "leaves images out until no class has more than the threshold; oversampling keeps every image and "
        "draws some again until every class has the threshold. With several labels an image, a tile stands "
        "in each of its classes' stacks at once, so the stacks come out uneven."
    ]
    result, (panel,) = page("Undersampling and oversampling (schematic)", footer, [("", 3.4)], _legend())
    axes = panel.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.9, 28.9), ylim=(-2.4, 12.2), aspect="equal")
    axes.axis("off")
    _stacks(axes, 0, "after undersampling", KEPT, left_out=BEFORE)
    _stacks(axes, 11, "training set", BEFORE)
    _stacks(axes, 22, "after oversampling", BEFORE, again=AGAIN)
    _threshold(axes, 0, 2)
    _threshold(axes, 22, 10)
    _arrow(axes, 10.2, 7.0, "leave\nimages\nout")
    _arrow(axes, 18.4, 21.6, "draw\nimages\nagain")
    return result


def _stacks(
    axes: "Axes",
    x: float,
    title: str,
    solid: Sequence[Sequence[int]],
    again: Sequence[Sequence[int]] = ((), (), ()),
    left_out: Sequence[Sequence[int]] = ((), (), ()),
) -> None:
    """One stack a class from `x` on: solid tiles, repeats upon them, then the empty places."""
    axes.text(x + STEP + 0.5, 11.6, title, ha="center", va="center", fontsize=9, fontweight="bold")
    for i, name in enumerate(CLASSES):
        missing = [number for number in left_out[i] if number not in solid[i]]
        tiles = [
            *((n, "solid") for n in solid[i]),
            *((n, "again") for n in again[i]),
            *((n, "out") for n in missing),
        ]
        for height, (number, kind) in enumerate(tiles):
            _tile(axes, x + i * STEP, height, str(number), name, kind)
        count = len(solid[i]) + len(again[i])
        axes.text(
            x + i * STEP + 0.5,
            -0.5,
            f"{count}\n{name.replace(' ', chr(10))}",
            ha="center",
            va="top",
            fontsize=7,
        )


def _tile(axes: "Axes", x: float, y: float, number: str, name: str, kind: str) -> None:
    from matplotlib.patches import Rectangle

    tile, text = _look(name, kind)
    axes.add_patch(Rectangle((x + 0.05, y + 0.05), 0.9, 0.9, **tile))
    behind = {"boxstyle": "square,pad=0.1", "facecolor": tile["facecolor"], "edgecolor": "none"}
    axes.text(x + 0.5, y + 0.47, number, ha="center", va="center", fontsize=7, color=text, bbox=behind)


def _look(name: str, kind: str) -> tuple[dict[str, Any], str]:
    """A tile's look, and the colour of the number on it."""
    colour, text = CLASSES[name]
    if kind == "solid":
        return {"facecolor": colour, "edgecolor": colour}, text
    if kind == "again":
        return {"facecolor": "white", "edgecolor": colour, "hatch": "//////"}, BLACK
    return {"facecolor": "white", "edgecolor": GREY, "linestyle": "dotted"}, GREY


def _threshold(axes: "Axes", x: float, height: float) -> None:
    axes.plot([x - 0.6, x + 2 * STEP + 1.6], [height, height], color=BLACK, linewidth=1, linestyle="--")
    axes.text(x + 2 * STEP + 1.6, height + 0.15, "threshold", ha="right", va="bottom", fontsize=7)


def _arrow(axes: "Axes", start: float, end: float, text: str) -> None:
    axes.annotate(
        "", (end, 4.6), (start, 4.6), arrowprops={"arrowstyle": "-|>", "linewidth": 1.8, "color": BLACK}
    )
    axes.text((start + end) / 2, 5.0, text, ha="center", va="bottom", fontsize=8)


def _legend() -> list["Patch"]:
    from matplotlib.patches import Patch

    kinds = {"solid": "an image", "again": "the same image drawn again", "out": "an image left out"}
    return [Patch(label=label, **_look("common", kind)[0]) for kind, label in kinds.items()]
