"""Scenes that people build, one function a scene. A pixel is about a metre."""

from itertools import pairwise

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import land, nature
from imbpipe.datasets.drawing.fields import SIZE, fractal, noise, soft, turned
from imbpipe.datasets.drawing.objects import lattice, put_boxes
from imbpipe.datasets.drawing.picture import Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import Points, Stencil, blob, crossing, discs, somewhere, stroke, walk

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
    streets = lattice(angle, (1000, block), centre, 400)
    turn = np.array([np.cos(angle), np.sin(angle)])
    paving = Stencil()
    for middle in streets[:: len(streets) // 17 or 1]:
        paving.line([middle - 800 * turn, middle + 800 * turn], rng.uniform(5, 7))
    paving.line([centre - 400 * turn[::-1] * [-1, 1], centre + 400 * turn[::-1] * [-1, 1]], 7)
    picture.paint(paving.mask, mix(rng, *ASPHALT))
    for side in (-1, 1):
        row = centre + side * (0.27 * block) * turn[::-1] * [-1, 1]
        houses = _inside(lattice(angle, (lot, block), row, 6 * block) + rng.normal(0, 1, 2))
        houses = houses[rng.random(len(houses)) < rng.uniform(0.7, 1)] + rng.normal(0, 0.8, 2)
        put_boxes(picture, rng, houses, (8, lot * 0.85), (6, 10), angle, TILES, shadow=2)
    trees = rng.uniform(0, SIZE, (rng.integers(20, 120), 2))
    crowns = rng.uniform(1.5, 4.5, len(trees))
    picture.darken(discs(trees - 1.5 * picture.sun, crowns), 0.4)
    picture.paint(discs(trees, crowns), shaded(mix(rng, *nature.WOODS), 0.2 * noise(rng, 3)))


def highway(picture: Picture, rng: Generator) -> None:
    """Two carriageways side by side, straight or in a wide curve, with lanes and cars."""
    nature.country(picture, rng)
    path = crossing(rng, 0.5)[::3]
    path += np.linspace(-1, 1, len(path))[:, None] ** 2 * rng.normal(0, 60, 2)
    _carriageway(picture, rng, path, rng.uniform(9, 16), gap=rng.uniform(2, 10))
    if rng.random() < 0.3:
        _street(picture, rng, crossing(rng, 2)[::3], rng.uniform(4, 8))


def intersection(picture: Picture, rng: Generator) -> None:
    """Two streets that cross, with markings, cars and what stands at the corners."""
    (residential if rng.random() < 0.5 else nature.country)(picture, rng)
    crossroads, angle = somewhere(rng, 0.35), rng.uniform(0, np.pi)
    for turn in (angle, angle + np.pi / 2 + rng.normal(0, 0.2)):
        direction = np.array([np.cos(turn), np.sin(turn)])
        path = crossroads + np.linspace(-260, 260, 45)[:, None] * direction
        _street(picture, rng, path, rng.uniform(11, 24))
    if rng.random() < 0.2:
        picture.paint(discs([crossroads], [rng.uniform(20, 30)]), mix(rng, *ASPHALT))
        picture.paint(discs([crossroads], [rng.uniform(8, 16)]), mix(rng, *LAWN))


def runway(picture: Picture, rng: Generator) -> None:
    """One long straight strip with a dashed centre line and piano keys, a taxiway beside it."""
    picture.pixels[:] = land.pasture(picture, rng)
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
        stalls = _inside(lattice(angle, (stall, 2 * aisle), np.full(2, SIZE / 2) + shift, 220))
        taken = stalls[rng.random(len(stalls)) < rng.uniform(0.15, 0.95)]
        put_boxes(picture, rng, taken, (4.5 * scale, 5.5 * scale), (1.8 * scale, 2.2 * scale),
                  angle + np.pi / 2, CARS, shadow=1)  # fmt: skip
    if rng.random() < 0.6:
        hall = somewhere(rng, -0.1)[None]
        put_boxes(picture, rng, hall, (80, 160), (50, 100), angle, (*TILES, *land.ROOFS), shadow=4)


def harbour(picture: Picture, rng: Generator) -> None:
    """Piers in the water, boats moored along them, a quay with sheds."""
    picture.pixels[:] = land.water(rng, mix(rng, *nature.SEA, *land.CLEAN))
    angle = rng.uniform(0, 2 * np.pi)
    inland, _ = turned(angle)
    shore = rng.uniform(20, 80)
    quay = soft(inland - shore, 2)
    picture.paint(quay, land.soil(rng, mix(rng, *ASPHALT, *land.SOIL)))
    out, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    reach, gap = rng.uniform(80, 200), rng.uniform(32, 60)
    piers, berths = Stencil(), []
    for step in np.arange(-200, 200, gap) + rng.uniform(0, gap):
        root = SIZE / 2 + shore * out + step * side
        piers.line([root, root - reach * out], 2.5)
        away = np.arange(8, reach, rng.uniform(5, 9))[:, None]
        berths += [root - away * out + hand * 7 * side for hand in (-1, 1)]
    picture.paint(piers.mask, mix(rng, (170, 160, 146), (196, 192, 184)))
    boats = _inside(np.concatenate(berths))
    boats = boats[rng.random(len(boats)) < rng.uniform(0.3, 0.95)]
    put_boxes(picture, rng, boats, (6, 11), (2, 3.4), angle + np.pi / 2, land.ROOFS, shadow=1)
    places = rng.uniform([shore + 14, -160], [shore + 70, 160], (9, 2))
    sheds = _inside(SIZE / 2 + places @ np.stack([out, side]))
    put_boxes(picture, rng, sheds, (14, 34), (10, 20), angle, TILES, shadow=3)


def storage_tanks(picture: Picture, rng: Generator) -> None:
    """Round white tanks with shadows, in rows behind bunds."""
    picture.pixels[:] = land.soil(rng, mix(rng, *ASPHALT, *land.SOIL, *land.PASTURE))
    radius, angle = rng.uniform(9, 34), rng.uniform(0, np.pi)
    spots = lattice(angle, (2.8 * radius, 2.8 * radius), somewhere(rng, 0.3), rng.uniform(2, 6) * radius)
    tanks = _inside(spots, -radius)[:60]
    picture.paint(0.5 * stroke(crossing(rng, 0.5), 5), mix(rng, *ASPHALT))
    radii = radius * rng.choice([0.6, 0.95, 1], len(tanks))
    picture.darken(discs(tanks - 0.35 * radius * picture.sun, radii), 0.5)
    metal = mix(rng, (226, 226, 222), (202, 204, 204), (180, 172, 160))
    picture.paint(discs(tanks, radii), metal)
    picture.paint(discs(tanks - 0.1 * radius * picture.sun, radii * 0.8), 0.93 * metal)


def solar_farm(picture: Picture, rng: Generator) -> None:
    """Rows of dark blue panels in straight blocks."""
    nature.country(picture, rng)
    number, along = land.plots(rng, rng.uniform(50, 110), 0)
    blocks = land.near(rng, number, somewhere(rng, 0.2), rng.uniform(60, 200), 0.1)
    picture.paint(blocks, land.soil(rng, mix(rng, *land.SOIL, *land.PASTURE)))
    pitch = rng.uniform(5, 10)
    rows = soft(np.abs(along % pitch - pitch / 2) - pitch * rng.uniform(0.12, 0.25), 1)
    panels = shaded(mix(rng, (34, 44, 78), (46, 54, 72), (28, 36, 56)), 0.08 * noise(rng, 20))
    picture.paint(blocks * rows, panels)


def quarry(picture: Picture, rng: Generator) -> None:
    """A pale pit cut down in benches, haul roads, at times a pond."""
    nature.country(picture, rng)
    centre, radius = somewhere(rng, 0.25), rng.uniform(50, 140)
    rock = mix(rng, (196, 188, 174), (176, 160, 138), (150, 146, 142), (188, 150, 116))
    picture.paint(blob(rng, centre, radius * 0.9, 0.3), land.soil(rng, rock))
    picture.paint(stroke(walk(rng, centre, 300, 0.12), rng.uniform(3, 5)), rock)
    land.terraces(picture, rng, centre, radius, rock)
    if rng.random() < 0.5:
        picture.paint(blob(rng, centre, radius * 0.2, 0.5), mix(rng, (84, 128, 128), (90, 100, 92)))


def golf_course(picture: Picture, rng: Generator) -> None:
    """Mown fairways between trees, pale bunkers, bright greens."""
    picture.pixels[:] = land.pasture(picture, rng)
    picture.paint(soft(fractal(rng, 45) - 0.1, 0.5), land.canopy(picture, rng, nature.WOODS))
    lawn = mix(rng, *LAWN)
    stripes = 0.06 * np.sin(turned(rng.uniform(0, np.pi))[0] * np.float32(0.5))
    for _ in range(rng.integers(2, 5)):
        hole = walk(rng, somewhere(rng), rng.uniform(90, 200), 0.1)
        fairway = stroke(hole, rng.uniform(14, 30))
        picture.paint(soft(fairway + 0.15 * noise(rng, 14) - 0.5, 0.3), shaded(lawn, stripes))
        green = hole[-1]
        picture.paint(blob(rng, green, rng.uniform(7, 13), 0.2), lawn * 1.25)
        sand = mix(rng, *land.SAND)
        for bunker in green + rng.normal(0, 16, (rng.integers(1, 5), 2)):
            picture.paint(blob(rng, bunker, rng.uniform(3, 8), 0.4), sand)
    if rng.random() < 0.4:
        picture.paint(blob(rng, somewhere(rng), rng.uniform(10, 28), 0.4), mix(rng, *land.CLEAN))


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


def _inside(points: Points, margin: float = -6) -> Points:
    """The points that lie in the picture, or at most -margin pixels outside."""
    return points[((points > margin) & (points < SIZE - margin)).all(1)]
