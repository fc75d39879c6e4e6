"""Planet's labels for what people leave on the land, one function a label."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import land
from imbpipe.datasets.drawing.fields import SIZE, fractal, noise, relief, soft
from imbpipe.datasets.drawing.objects import put_boxes
from imbpipe.datasets.drawing.picture import Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import (
    Points,
    between,
    blob,
    crossing,
    discs,
    somewhere,
    stroke,
    walk,
)


def selective_logging(picture: Picture, rng: Generator) -> None:
    """Skid trails that branch from one another, with gaps where single trees were taken."""
    trails = [walk(rng, somewhere(rng), rng.uniform(50, 200), 0.2) for _ in range(rng.integers(1, 6))]
    for _ in range(rng.integers(4, 14)):
        stem = trails[rng.integers(len(trails))]
        trails.append(walk(rng, stem[rng.integers(len(stem))], rng.uniform(12, 60), 0.25))
    earth = mix(rng, (150, 124, 104), (128, 112, 88), (158, 134, 118))
    mask = np.maximum.reduce([stroke(t, rng.uniform(0.5, 1.4)) for t in trails])
    picture.paint(mask * rng.uniform(0.4, 0.9) * soft(noise(rng, 14) + 0.6, 1), earth)
    points = np.concatenate(trails)
    gaps = points[rng.integers(len(points), size=rng.integers(8, 60))]
    gaps = gaps + rng.normal(0, 5, gaps.shape)
    fresh = discs(gaps, rng.uniform(0.7, 2.8, len(gaps))) * soft(noise(rng, 3) + 1, 1)
    picture.paint(fresh * rng.uniform(0.5, 0.9), mix(rng, (146, 124, 104), (96, 108, 64)))


def artisinal_mine(picture: Picture, rng: Generator) -> None:
    """Gold diggings along a river: churned tan mud full of milky green and yellow pools."""
    heart, size = _beside(rng, picture.rivers), between(rng, 16, 80)
    diggings = blob(rng, heart, size, 0.8) * soft(fractal(rng, 24) + 0.6, 0.6)
    churned = 0.3 * relief(fractal(rng, 10, 3), picture.sun) + 0.12 * fractal(rng, 16)
    mud = mix(rng, (196, 164, 120), (180, 150, 112), (204, 184, 150))
    picture.paint(diggings, shaded(mud, np.maximum(churned, -0.6)))
    pools = soft(fractal(rng, rng.uniform(10, 22), 2) - rng.uniform(0.3, 1), 0.3)
    green = mix(rng, (112, 146, 118), (128, 150, 112), (96, 134, 126))
    yellow = mix(rng, (184, 146, 92), (160, 136, 100))
    which = soft(noise(rng, 20), 0.2)
    picture.paint(diggings * pools, green * which + yellow * (1 - which))


def conventional_mine(picture: Picture, rng: Generator) -> None:
    """An open pit with straight sides and terraces, grey or red, and its haul road."""
    centre, radius = somewhere(rng, 0.05), between(rng, 24, 110)
    rock = mix(rng, (132, 126, 120), (160, 148, 134), (140, 78, 60))
    picture.paint(stroke(walk(rng, centre, 300, 0.1), rng.uniform(2, 4)), rock * 1.15)
    land.terraces(picture, rng, centre, radius, rock)
    if rng.random() < 0.4:
        picture.paint(blob(rng, centre, radius * 0.15, 0.4), mix(rng, (76, 100, 100), (90, 84, 76)))


def road(picture: Picture, rng: Generator) -> None:
    """Dirt or asphalt, one to three pixels wide, bent or dead straight, with side roads at times."""
    colour = mix(rng, (170, 142, 116), (146, 126, 108), (184, 166, 140), (126, 122, 118))
    path = crossing(rng, (0.5, 6, 14)[rng.integers(3)])
    if rng.random() < 0.25:
        start = rng.integers(len(path) // 2)
        path = path[start : start + len(path) // 2]
    picture.roads.append(path)
    for _ in range(rng.choice(3, p=[0.5, 0.3, 0.2])):
        picture.roads.append(walk(rng, path[rng.integers(len(path))], rng.uniform(30, 180), 0.1))
    width = rng.uniform(0.8, 3)
    mask = np.maximum.reduce([stroke(p, width) for p in picture.roads])
    picture.paint(mask * rng.uniform(0.4, 1) * soft(noise(rng, 24) + 1.6, 1), colour)


def habitation(picture: Picture, rng: Generator) -> None:
    """Bright roofs with shadows on trodden ground, beside the road where there is one."""
    houses = round(between(rng, 4, 120))
    spread = 3 + 2.2 * houses**0.5
    path = picture.roads[rng.integers(len(picture.roads))] if picture.roads else somewhere(rng, 0.15)[None]
    heart = _beside(rng, [path])
    stretch = path[np.hypot(*(path - heart).T) < 4 * spread]
    centres = stretch[rng.integers(len(stretch), size=houses)] + rng.normal(0, spread / 2, (houses, 2))
    yards = discs(centres, rng.uniform(2, 8, houses)) * soft(noise(rng, 3.5) + 0.2, 1.2)
    picture.paint(yards * rng.uniform(0.3, 0.9), land.soil(rng, mix(rng, *land.SOIL)))
    angles = rng.uniform(0, np.pi) + rng.normal(0, 0.2, houses)
    put_boxes(picture, rng, centres, (1.8, 5), (1.3, 3), angles, land.ROOFS, shadow=1.2)


def _beside(rng: Generator, paths: list[Points]) -> Points:
    """A point of the last path inside the picture; any point of the picture where there is none."""
    points = paths[-1] if paths else somewhere(rng)[None]
    inside = points[(points > 10).all(1) & (points < SIZE - 10).all(1)]
    return inside[rng.integers(len(inside))] if len(inside) else points[len(points) // 2]
