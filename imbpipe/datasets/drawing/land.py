"""What covers the land: canopy, pasture, fields, soil, water. Shared by both drawn data sets."""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from imbpipe.datasets.drawing.fields import SIZE, Field, X, Y, fractal, noise, relief, soft, turned
from imbpipe.datasets.drawing.picture import Colour, Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import Points, pit, ribbon, wave

CANOPY = ((28, 44, 32), (30, 48, 45), (44, 50, 28), (40, 46, 40))
PASTURE = ((84, 100, 66), (116, 110, 84), (98, 108, 88), (134, 116, 100), (66, 86, 54))
CROPS = ((86, 108, 60), (138, 128, 92), (62, 82, 48), (150, 132, 108), (108, 116, 82))
SOIL = ((150, 124, 96), (172, 146, 116), (138, 108, 86), (186, 170, 146))
MUD = ((146, 120, 90), (170, 138, 100), (116, 98, 80), (108, 100, 88))
CLEAN = ((20, 30, 36), (32, 46, 54), (40, 46, 46))
SAND = ((206, 188, 152), (196, 170, 130), (222, 208, 182))
ROOFS = ((222, 220, 214), (184, 150, 128), (164, 174, 184), (204, 190, 170))

GLEAM = np.array([1.0, 1.1, 0.6], np.float32)[:, None, None]

GRID = 41
"""Columns and rows of plots that surely cover a picture."""


def canopy(picture: Picture, rng: Generator, colours: tuple[ArrayLike, ...] = CANOPY) -> Colour:
    """Crowns four to six pixels wide, lit from one side, in greens that differ from tree to tree."""
    crowns = noise(rng, rng.uniform(3.4, 5.6)) + 0.5 * noise(rng, 2.2)
    stand = fractal(rng, rng.uniform(40, 120), 3)
    depth = rng.uniform(0.06, 0.14)
    light = depth * (relief(crowns, picture.sun) + crowns) + rng.uniform(0.02, 0.09) * stand
    green = shaded(mix(rng, *colours), np.maximum(light, -0.7))
    pale = soft(noise(rng, 5) + 0.5 * crowns - rng.uniform(1.4, 2.6), 1.5)
    return green + rng.uniform(4, 22) * pale * GLEAM


def pasture(picture: Picture, rng: Generator) -> Colour:
    """Grass in patches of green and straw, with single trees left standing."""
    patches = soft(fractal(rng, rng.uniform(30, 90)), 2.5)
    rough = 0.05 * noise(rng, 3) + 0.04 * fractal(rng, 20, 3)
    grass = shaded(mix(rng, *PASTURE) * (1 - patches) + mix(rng, *PASTURE) * patches, rough)
    trees = soft(noise(rng, 7) - rng.uniform(1.8, 3.2), 0.6)
    return grass + trees * (mix(rng, *CANOPY) - grass)


def soil(rng: Generator, colour: Colour) -> Colour:
    """Open ground: pale, with gullies and stains."""
    return shaded(colour, 0.1 * fractal(rng, 48, 5, 0.7) + 0.03 * noise(rng, 2.5))


def plots(rng: Generator, size: float, warp: float) -> tuple[NDArray[np.intp], Field]:
    """Land divided into plots of about `size` pixels, their borders bent by about `warp` pixels.

    The number of each pixel's plot (below GRID squared), and the distance in pixels across the furrows.
    """
    along, across = turned(rng.uniform(0, np.pi))
    number = np.zeros_like(across, int)
    for side in (along, across):
        bent = side + warp * (noise(rng, size / 2) + 0.2 * noise(rng, 6))
        borders = np.cumsum(rng.uniform(0.5, 1.5, GRID - 1) * size) - GRID / 2 * size
        number = number * GRID + np.searchsorted(borders.astype(np.float32), bent)
    return number, along


def near(rng: Generator, number: NDArray[np.intp], centre: ArrayLike, radius: float, gaps: float) -> Field:
    """1 on the plot at the centre and those within about `radius` pixels, but for a share of `gaps`."""
    area = np.maximum(np.bincount(number.ravel(), minlength=GRID * GRID), 1)
    middle = (np.bincount(number.ravel(), w.ravel(), GRID * GRID) / area for w in (X, Y))
    away = np.hypot(*(m - c for m, c in zip(middle, np.asarray(centre), strict=True)))
    taken = (away < radius * rng.uniform(0.7, 1.3, GRID * GRID)) & (rng.random(GRID * GRID) >= gaps)
    x, y = np.clip(centre, 0, SIZE - 1).astype(int)
    taken[number[y, x]] = True
    return taken.astype(np.float32)[number]


def fields(rng: Generator, number: NDArray[np.intp], across: Field) -> Colour:
    """Crops: a colour a plot, drilled lines in some of them."""
    kind = rng.integers(0, 12, GRID * GRID)[number]
    colours = np.stack([mix(rng, *CROPS, *PASTURE)[:, 0, 0] for _ in range(12)], axis=1)
    strength = np.float32(0.12) * rng.random(12, np.float32) * (rng.random(12) < 0.5)
    lines = np.sin(across * np.float32(2 * np.pi / rng.uniform(3.5, 8)))
    return shaded(colours[:, kind], strength.astype(np.float32)[kind] * lines + 0.05 * fractal(rng, 24, 4))


def river(rng: Generator, path: Points, width: float) -> Field:
    """A river's mask along a path, now wider, now narrower."""
    return ribbon(path, np.maximum(width * np.exp(0.2 * wave(rng, len(path))), 1.2))


def water(rng: Generator, colour: Colour) -> Colour:
    """Nearly even, with slow streaks."""
    return shaded(colour, 0.04 * fractal(rng, 60, 3) + 0.01 * noise(rng, 2.5))


def terraces(picture: Picture, rng: Generator, centre: Points, radius: float, rock: Colour) -> None:
    """An open pit with straight sides, cut down in benches."""
    depth = pit(rng, centre, radius) + rng.uniform(0.02, 0.06) * fractal(rng, 40, 3)
    steps = depth * rng.integers(3, 7)
    bench = np.floor(steps)
    walls = soft(0.35 - (steps - bench), 0.2) * relief(depth, picture.sun) * radius
    light = 0.3 * np.clip(walls, -1, 1) - 0.05 * bench + 0.1 * fractal(rng, 30, 5, 0.7)
    picture.paint(soft(depth, 3 / radius), shaded(rock, np.maximum(light, -0.6)))
