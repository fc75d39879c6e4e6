"""Scenes of streets and what lies along them, one function a scene. A pixel is about a metre."""

from itertools import pairwise

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import land, nature
from imbpipe.datasets.drawing.fields import SIZE, fractal, noise, soft, turned
from imbpipe.datasets.drawing.objects import inside, lattice, put_boxes
from imbpipe.datasets.drawing.picture import Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import Points, Stencil, crossing, discs, somewhere, stroke

ASPHALT = ((96, 96, 98), (118, 114, 110), (78, 80, 84), (136, 132, 126))
PAINT = ((222, 220, 210),)
CARS = ((226, 226, 226), (40, 42, 46), (150, 44, 40), (60, 80, 120), (160, 164, 168))
TILES = ((160, 98, 76), (128, 112, 104), (184, 160, 138), (104, 104, 110), (206, 200, 192))
LAWN = ((86, 122, 62), (104, 132, 74), (74, 104, 56))


def residential(picture: Picture, rng: Generator) -> None:
    """Houses in rows along streets, gardens and trees between them."""
    picture.pixels[:] = land.pasture(picture, rng)
    angle, block, lot = rng.uniform(0, np.pi), rng.uniform(44, 76), rng.uniform(13, 22)
    centre = somewhere(rng)
    along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    paving = Stencil().line([centre - 400 * across, centre + 400 * across], 7)
    for middle in centre + block * np.arange(-8, 9)[:, None] * across:
        paving.line([middle - 400 * along, middle + 400 * along], rng.uniform(5, 7))
    picture.paint(paving.mask, mix(rng, *ASPHALT))
    for side in (-1, 1):
        row = centre + side * 0.27 * block * across
        houses = inside(lattice(angle, (lot, block), row, 6 * block) + rng.normal(0, 1, 2))
        houses = houses[rng.random(len(houses)) < rng.uniform(0.7, 1)] + rng.normal(0, 0.8, 2)
        put_boxes(picture, rng, houses, (8, lot * 0.85), (6, 10), angle, TILES, shadow=2)
    trees = rng.uniform(0, SIZE, (rng.integers(20, 120), 2))
    crowns = rng.uniform(1.5, 4.5, len(trees))
    picture.darken(discs(trees - 1.5 * picture.sun, crowns), 0.4)
    picture.paint(discs(trees, crowns), shaded(mix(rng, *nature.WOODS), 0.2 * noise(rng, 3)))


def highway(picture: Picture, rng: Generator) -> None:
    """Two carriageways side by side, straight or in a wide curve, with lanes and cars."""
    surroundings(picture, rng)
    path = crossing(rng, 0.5)[::3]
    path += np.linspace(-1, 1, len(path))[:, None] ** 2 * rng.normal(0, 60, 2)
    _carriageway(picture, rng, path, rng.uniform(9, 16), gap=rng.uniform(2, 10))
    if rng.random() < 0.3:
        _street(picture, rng, crossing(rng, 2)[::3], rng.uniform(4, 8))


def intersection(picture: Picture, rng: Generator) -> None:
    """Two streets that cross, with markings, cars and what stands at the corners."""
    surroundings(picture, rng)
    crossroads, angle = somewhere(rng, 0.35), rng.uniform(0, np.pi)
    for turn in (angle, angle + np.pi / 2 + rng.normal(0, 0.2)):
        direction = np.array([np.cos(turn), np.sin(turn)])
        path = crossroads + np.linspace(-260, 260, 45)[:, None] * direction
        _street(picture, rng, path, rng.uniform(7, 24))
    if rng.random() < 0.2:
        picture.paint(discs([crossroads], [rng.uniform(20, 30)]), mix(rng, *ASPHALT))
        picture.paint(discs([crossroads], [rng.uniform(8, 16)]), mix(rng, *LAWN))


def runway(picture: Picture, rng: Generator) -> None:
    """One long straight strip with a dashed centre line and piano keys, a taxiway beside it."""
    surroundings(picture, rng)
    along, across = turned(rng.uniform(0, np.pi))
    across, along = across - rng.uniform(-50, 50), along - rng.uniform(-110, 110)
    width, end = rng.uniform(20, 40), rng.choice([0, 400])
    strip = soft(width / 2 - np.abs(across), 1.5) * soft(along + end, 1.5)
    taxiway = soft(5 - np.abs(across - rng.uniform(40, 70)), 1.5)
    asphalt = shaded(mix(rng, *ASPHALT), 0.05 * fractal(rng, 20, 4))
    picture.paint(np.maximum(strip, taxiway), asphalt)
    dashes = soft(0.8 - np.abs(across), 1) * (along % 24 < 14) * (along > 26 - end)
    keys = (np.abs(across) % 5 < 2.5) & (np.abs(across) < width / 2 - 2) & (np.abs(along + end - 13) < 9)
    skid = soft(width / 5 - np.abs(across), width / 4) * soft(60 - np.abs(along - 70), 60)
    picture.darken(strip * skid, 0.25)
    picture.paint(strip * np.maximum(dashes, keys).astype(np.float32), mix(rng, *PAINT))


def parking_lot(picture: Picture, rng: Generator) -> None:
    """Rows of stalls on asphalt, more or less full."""
    picture.pixels[:] = shaded(mix(rng, *ASPHALT), 0.05 * fractal(rng, 30, 4))
    angle, scale = rng.uniform(0, np.pi), rng.uniform(1.2, 2.4)
    along, across = turned(angle)
    aisle, stall = 16 * scale, 3.2 * scale
    lines = (along % stall < 0.6) & (np.abs(across % (2 * aisle) - aisle) < 0.6 * aisle)
    picture.paint(lines * np.float32(0.6), mix(rng, *PAINT))
    for side in (-0.3, 0.3):
        shift = np.array([-np.sin(angle), np.cos(angle)]) * (1 + side) * aisle
        stalls = inside(lattice(angle, (stall, 2 * aisle), np.full(2, SIZE / 2) + shift, 220))
        taken = stalls[rng.random(len(stalls)) < rng.uniform(0.15, 0.95)]
        put_boxes(picture, rng, taken, (4.5 * scale, 5.5 * scale), (1.8 * scale, 2.2 * scale),
                  angle + np.pi / 2, CARS, shadow=1)  # fmt: skip
    if rng.random() < 0.6:
        hall = somewhere(rng, -0.1)[None]
        put_boxes(picture, rng, hall, (80, 160), (50, 100), angle, (*TILES, *land.ROOFS), shadow=4)


def surroundings(picture: Picture, rng: Generator) -> None:
    """Houses, or open country."""
    (residential if rng.random() < 0.4 else nature.country)(picture, rng)


def _carriageway(picture: Picture, rng: Generator, path: Points, width: float, gap: float) -> None:
    """A street each way, `gap` pixels of green between them."""
    along = np.gradient(path, axis=0)
    across = along[:, ::-1] * [-1, 1] / np.linalg.norm(along, axis=1, keepdims=True)
    picture.paint(stroke(path, 2 * width + gap), mix(rng, *LAWN, *land.SOIL))
    for side in (-0.5, 0.5):
        _street(picture, rng, path + side * (width + gap) * across, width)


def _street(picture: Picture, rng: Generator, path: Points, width: float) -> None:
    """Asphalt with a dash from each point of the path half the way to the next, and cars on both sides."""
    picture.paint(stroke(path, width), shaded(mix(rng, *ASPHALT), 0.04 * fractal(rng, 16, 3)))
    line = Stencil()
    for here, there in pairwise(path):
        line.line([here, (here + there) / 2], 0.8)
    picture.paint(line.mask * 0.8, mix(rng, *PAINT))
    along = np.gradient(path, axis=0)
    places = rng.integers(len(path), size=rng.integers(0, 14))
    bearings = np.arctan2(along[places, 1], along[places, 0])
    lanes = width / 4 * rng.choice([-1, 1], len(places))
    cars = path[places] + lanes[:, None] * np.stack([-np.sin(bearings), np.cos(bearings)], 1)
    put_boxes(picture, rng, cars, (4, 6), (1.8, 2.4), bearings, CARS, shadow=0.8)
