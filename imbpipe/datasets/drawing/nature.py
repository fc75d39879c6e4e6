"""Scenes that nature makes, or farmers, one function a scene."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import land
from imbpipe.datasets.drawing.fields import SIZE, Field, X, Y, fractal, noise, relief, soft, turned
from imbpipe.datasets.drawing.picture import Colour, Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import blob, crossing, somewhere, stroke

WOODS = (*land.CANOPY, (58, 76, 40), (52, 66, 50), (92, 74, 44))
SEA = ((24, 62, 88), (30, 82, 98), (38, 56, 70))
SHALLOWS = ((92, 156, 150), (72, 132, 136), (120, 150, 132))
ROCK = ((120, 104, 86), (138, 122, 108), (98, 90, 84), (146, 116, 88))


def country(picture: Picture, rng: Generator) -> None:
    """What lies around other things: woods, grass or fields."""
    (forest, _grassland, farmland)[rng.integers(3)](picture, rng)


def forest(picture: Picture, rng: Generator) -> None:
    """Woods with glades, at times with a track."""
    picture.pixels[:] = land.canopy(picture, rng, WOODS)
    if rng.random() < 0.5:
        glades = soft(fractal(rng, rng.uniform(40, 90)) - rng.uniform(0.8, 2), 0.5)
        picture.paint(glades, land.pasture(picture, rng))
    if rng.random() < 0.3:
        picture.paint(stroke(crossing(rng, 12), rng.uniform(1, 3)) * 0.8, mix(rng, *land.SOIL))


def farmland(picture: Picture, rng: Generator) -> None:
    """Fields from border to border, lanes between some of them."""
    number, across = land.plots(rng, rng.uniform(24, 90), rng.uniform(0, 3))
    picture.pixels[:] = land.fields(rng, number, across)
    if rng.random() < 0.5:
        edges = np.diff(number, axis=0, prepend=number[:1]) | np.diff(number, prepend=number[:, :1])
        picture.paint(rng.uniform(0.3, 0.9) * (edges != 0).astype(np.float32), mix(rng, *land.SOIL, *WOODS))


def river(picture: Picture, rng: Generator) -> None:
    """A river between its banks, through any country."""
    country(picture, rng)
    path, width = crossing(rng, rng.uniform(10, 50)), rng.uniform(10, 70)
    banks = land.river(rng, path + rng.normal(0, 3, 2), width * 1.2)
    picture.paint(banks * soft(fractal(rng, 40) + 0.3, 1.5), mix(rng, *land.SAND, *land.SOIL))
    picture.paint(land.river(rng, path, width), land.water(rng, mix(rng, *land.MUD, *land.CLEAN, *SEA)))


def lake(picture: Picture, rng: Generator) -> None:
    """Still water with bays."""
    country(picture, rng)
    mask = blob(rng, somewhere(rng, 0.3), rng.uniform(35, 105), rng.uniform(0.2, 0.5))
    picture.paint(mask, land.water(rng, mix(rng, *land.CLEAN, *SEA)))


def island(picture: Picture, rng: Generator) -> None:
    """Land with a sandy rim, shallows around it, and the sea."""
    inland = rng.uniform(30, 85) - _ragged_distance(rng)
    picture.pixels[:] = _sea(rng, -inland)
    picture.paint(soft(inland + rng.uniform(3, 9), 3), land.soil(rng, mix(rng, *land.SAND)))
    picture.paint(soft(inland, 5), land.canopy(picture, rng, WOODS))


def beach(picture: Picture, rng: Generator) -> None:
    """Surf along a strip of sand, green or houses behind it."""
    inland = turned(rng.uniform(0, 2 * np.pi))[0] + rng.uniform(-50, 50) + 10 * fractal(rng, 90, 3)
    picture.pixels[:] = _sea(rng, -inland)
    picture.paint(soft(inland, 3), land.soil(rng, mix(rng, *land.SAND)))
    for line in rng.uniform(0, 22, rng.integers(1, 4)):
        foam = soft(2.2 - np.abs(inland + line + 2 * noise(rng, 20)), 2) * soft(noise(rng, 12) + 0.8, 1)
        picture.paint(foam * 0.8, mix(rng, (228, 232, 230)))
    green = soft(inland - rng.uniform(20, 80) + 5 * noise(rng, 12), 4)
    picture.paint(green, land.canopy(picture, rng, WOODS))


def desert(picture: Picture, rng: Generator) -> None:
    """Dunes: warped crests across the wind, steep on the lee side."""
    wind, _ = turned(rng.uniform(0, np.pi))
    crest = (wind + 12 * fractal(rng, 70, 3)) / rng.uniform(10, 45)
    height = np.abs(crest % 2 - 1) ** 1.5 * rng.uniform(0, 7) + rng.uniform(1, 10) * fractal(rng, 60, 5)
    sand = mix(rng, (206, 168, 118), (214, 182, 140), (196, 140, 92))
    picture.pixels[:] = shaded(sand, np.clip(0.35 * relief(height, picture.sun), -0.5, 0.3))


def bare_mountain(picture: Picture, rng: Generator) -> None:
    """Ridges of bare rock, lit from one side."""
    height = rng.uniform(0.3, 1) * _ridges(rng)
    rock = shaded(mix(rng, *ROCK, *land.SOIL), np.clip(0.3 * relief(height, picture.sun), -0.7, 0.6))
    scrub = soft(fractal(rng, 40) - rng.uniform(0.6, 2), 1)
    picture.pixels[:] = rock + scrub * (mix(rng, *WOODS) - rock)


def snow_mountain(picture: Picture, rng: Generator) -> None:
    """Ridges under snow, blue in the shade, rock where it is steep or low."""
    height = _ridges(rng)
    light = relief(height, picture.sun)
    rock = shaded(mix(rng, *ROCK) * 0.7, np.clip(0.3 * light, -0.6, 0.5))
    snow = shaded(mix(rng, (178, 186, 196), (166, 176, 190)), np.clip(0.2 * light, -0.5, 0.15))
    line = np.quantile(height[::8, ::8], rng.uniform(0, 0.9))
    cover = soft(0.15 * (height - line) - 0.3 * np.abs(light) + 0.5 + 0.2 * noise(rng, 5), 0.6)
    picture.pixels[:] = rock + cover * (snow - rock)


def circular_fields(picture: Picture, rng: Generator) -> None:
    """Fields watered by turning arms: discs in a grid, some cut into sectors, on dry ground."""
    picture.pixels[:] = land.soil(rng, mix(rng, *land.SOIL, *land.PASTURE))
    radius = rng.uniform(22, 60)
    left, top = rng.uniform(-radius, radius, 2)
    for x in np.arange(left, SIZE + radius, 2.1 * radius):
        for y in np.arange(top, SIZE + radius, 2.1 * radius):
            if rng.random() < 0.85:
                _pivot(picture, rng, x, y, radius * rng.uniform(0.9, 1))


def _pivot(picture: Picture, rng: Generator, x: float, y: float, radius: float) -> None:
    dx, dy = X - np.float32(x), Y - np.float32(y)
    away, bearing = np.hypot(dx, dy), np.arctan2(dy, dx)
    sector = bearing > np.float32(rng.uniform(-np.pi, 3 * np.pi))
    crop = np.where(sector, mix(rng, *land.CROPS), mix(rng, *land.CROPS))
    rings = 0.05 * np.sin(away * np.float32(rng.uniform(0.6, 1.6))) + 0.05 * noise(rng, 12)
    picture.paint(soft(np.float32(radius) - away, 2), shaded(crop, rings))


def _grassland(picture: Picture, rng: Generator) -> None:
    picture.pixels[:] = land.pasture(picture, rng)


def _sea(rng: Generator, offshore: Field) -> Colour:
    """Water that deepens with the distance from the shore in pixels."""
    depth = soft(offshore - rng.uniform(20, 60) + 6 * noise(rng, 40), rng.uniform(30, 120))
    shallow, deep = mix(rng, *SHALLOWS), mix(rng, *SEA)
    return shaded(shallow + depth * (deep - shallow), 0.03 * fractal(rng, 10, 3))


def _ragged_distance(rng: Generator) -> Field:
    """Distance from somewhere near the middle, bays and capes added."""
    x, y = somewhere(rng, 0.35)
    return np.hypot(X - np.float32(x), Y - np.float32(y)) + rng.uniform(8, 24) * fractal(rng, 60, 4)


def _ridges(rng: Generator) -> Field:
    """Heights with sharp crests and valleys, in pixels."""
    folds = sum(0.5**k * np.abs(noise(rng, rng.uniform(80, 130) / 2**k)) for k in range(5))
    return -rng.uniform(12, 24) * np.asarray(folds, np.float32)
