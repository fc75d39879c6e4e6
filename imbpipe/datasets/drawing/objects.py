"""Things that people build and that stand in numbers: roofs, cars, boats, panels."""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from imbpipe.datasets.drawing.fields import SIZE
from imbpipe.datasets.drawing.picture import Picture, mix
from imbpipe.datasets.drawing.shapes import Points, Stencil, boxes


def put_boxes(
    picture: Picture,
    rng: Generator,
    centres: Points,
    length: tuple[float, float],
    width: tuple[float, float],
    angles: ArrayLike,
    colours: tuple[ArrayLike, ...],
    *,
    shadow: float,
) -> None:
    """A box at each centre, its sides drawn from the ranges, in one of three colours, with its shadow."""
    ground, *kinds = (Stencil() for _ in range(4))
    n = len(centres)
    outlines = boxes(centres, rng.uniform(*length, n), rng.uniform(*width, n), angles)
    for outline, kind in zip(outlines, rng.integers(0, 3, n), strict=True):
        ground.polygon(outline - shadow * picture.sun)
        kinds[kind].polygon(outline)
    picture.darken(ground.mask, 0.5)
    for stencil in kinds:
        picture.paint(stencil.mask, mix(rng, *colours))


def lattice(angle: float, step: tuple[float, float], centre: ArrayLike, reach: float) -> Points:
    """(m, 2) points of a grid turned by `angle`, `reach` pixels each way from the centre."""
    along, across = (np.arange(-reach, reach + 1e-9, s) for s in step)
    grid = np.stack(np.meshgrid(along, across), -1).reshape(-1, 2)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(centre) + grid @ np.array([[c, s], [-s, c]])


def inside(points: Points, margin: float = -6) -> Points:
    """The points that lie in the picture, or at most -margin pixels outside."""
    return points[((points > margin) & (points < SIZE - margin)).all(1)]
