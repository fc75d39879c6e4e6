"""Shapes on a picture: paths as (m, 2) points in pixels, masks as fields in [0, 1] with smooth edges."""

from collections.abc import Iterable

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from imbpipe.datasets.drawing.fields import SIZE, Field, X, Y, noise, soft

Points = NDArray[np.float64]

FINE = 3
"""Masks are drawn this many times finer than they are used, which smooths their edges."""


class Stencil:
    """A mask under construction: lines, polygons and discs, then `mask`."""

    def __init__(self) -> None:
        self._image = Image.new("L", (SIZE * FINE, SIZE * FINE))
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: ArrayLike, width: float) -> "Stencil":
        self._draw.line(_fine(points), 255, max(1, round(width * FINE)), joint="curve")
        return self

    def polygon(self, points: ArrayLike) -> "Stencil":
        self._draw.polygon(_fine(points), 255)
        return self

    def disc(self, centre: ArrayLike, radius: float) -> "Stencil":
        x, y = np.asarray(centre) * FINE
        r = radius * FINE
        self._draw.ellipse((x - r, y - r, x + r, y + r), 255)
        return self

    @property
    def mask(self) -> Field:
        return np.asarray(self._image.reduce(FINE), np.float32) / 255


def _fine(points: ArrayLike) -> list[tuple[float, float]]:
    return [*map(tuple, (np.asarray(points) * FINE).tolist())]


def stroke(points: ArrayLike, width: float) -> Field:
    """A line of `width` pixels along the points."""
    return Stencil().line(points, width).mask


def discs(centres: Iterable[ArrayLike], radii: Iterable[float]) -> Field:
    """A disc at each centre."""
    stencil = Stencil()
    for centre, radius in zip(centres, radii, strict=True):
        stencil.disc(centre, radius)
    return stencil.mask


def ribbon(points: Points, widths: NDArray[np.float64]) -> Field:
    """A band along the points that is widths[i] pixels wide at point i."""
    along = np.gradient(points, axis=0)
    across = along[:, ::-1] * [-1, 1] / np.linalg.norm(along, axis=1, keepdims=True)
    half = across * widths[:, None] / 2
    stencil = Stencil().polygon(np.concatenate([points + half, (points - half)[::-1]]))
    for point, width in zip(points, widths, strict=True):
        stencil.disc(point, width / 2)
    return stencil.mask


def between(rng: Generator, low: float, high: float) -> float:
    """Between low and high, small ones as often as large ones (log-uniform)."""
    return low * (high / low) ** rng.random()


def somewhere(rng: Generator, margin: float = 0.1) -> Points:
    """A point of the picture, `margin` of its width away from the border (outside if negative)."""
    return rng.uniform(margin, 1 - margin, 2) * SIZE


def crossing(rng: Generator, bend: float) -> Points:
    """A path from beyond one border to beyond another, with bends of about `bend` pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    t = np.linspace(-1, 1, 160)
    sway = bend * wave(rng, len(t))
    return somewhere(rng, 0.2) + 1.2 * SIZE * t[:, None] * along + sway[:, None] * along[::-1] * [-1, 1]


def walk(rng: Generator, start: ArrayLike, length: float, wobble: float) -> Points:
    """A path of steps of 4 pixels that turns by about `wobble` radians a step."""
    steps = max(2, round(length / 4))
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, wobble, steps))
    return np.asarray(start) + 4 * np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), axis=0)


def wave(rng: Generator, n: int) -> NDArray[np.float64]:
    """A smooth random curve of n values, of mean 0 and variance about 1."""
    t = np.linspace(0, 2 * np.pi, n)[:, None]
    periods = np.array([0.8, 1.7, 2.9, 5.3, 9.1])
    phases = rng.uniform(0, 2 * np.pi, 5)
    return (np.sin(periods * t + phases) * rng.normal(0, 1.2, 5) / periods).sum(1)


def blob(rng: Generator, centre: ArrayLike, radius: float, rough: float = 0.35, width: float = 3) -> Field:
    """A disc with a ragged edge, `width` pixels soft; rough is the size of its bays against its radius."""
    x, y = np.asarray(centre, np.float32)
    away = np.hypot(X - x, Y - y)
    ragged = noise(rng, max(radius * 0.6, 6)) + 0.5 * noise(rng, max(radius * 0.2, 4))
    return soft(radius - away + rough * radius * ragged, width)


def pit(rng: Generator, centre: ArrayLike, radius: float) -> Field:
    """How far inside a polygon of four to six sides each pixel lies: 0 on its outline, 1 at the centre."""
    x, y = np.asarray(centre, np.float32)
    sides = rng.integers(4, 7)
    angles = (rng.uniform(0, 0.7, sides) + np.arange(sides)) * 2 * np.pi / sides + rng.uniform(0, 2 * np.pi)
    reach = radius * rng.uniform(0.6, 1, sides)
    depths = (
        1 - ((X - x) * np.float32(np.cos(a)) + (Y - y) * np.float32(np.sin(a))) / np.float32(r)
        for a, r in zip(angles, reach, strict=True)
    )
    return np.minimum.reduce(list(depths))


def boxes(centres: Points, length: ArrayLike, width: ArrayLike, angle: ArrayLike) -> Points:
    """The corners, (n, 4, 2), of n rectangles whose lengths point along `angle`."""
    along = np.stack([np.cos(angle), np.sin(angle)], -1) * np.asarray(length)[..., None] / 2
    across = np.stack([-np.sin(angle), np.cos(angle)], -1) * np.asarray(width)[..., None] / 2
    corners = [along + across, along - across, -along - across, across - along]
    return centres[:, None] + np.stack(np.broadcast_arrays(*corners), -2)
