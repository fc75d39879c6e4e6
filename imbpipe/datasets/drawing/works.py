"""Scenes of what people build beside streets, one function a scene. A pixel is about a metre."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import land, nature
from imbpipe.datasets.drawing.fields import SIZE, fractal, noise, soft, turned
from imbpipe.datasets.drawing.objects import inside, lattice, put_boxes
from imbpipe.datasets.drawing.picture import Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import Stencil, blob, crossing, discs, somewhere, stroke, walk
from imbpipe.datasets.drawing.streets import ASPHALT, LAWN, TILES, surroundings


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
    boats = inside(np.concatenate(berths))
    boats = boats[rng.random(len(boats)) < rng.uniform(0.3, 0.95)]
    put_boxes(picture, rng, boats, (6, 11), (2, 3.4), angle + np.pi / 2, land.ROOFS, shadow=1)
    places = rng.uniform([shore + 14, -160], [shore + 70, 160], (9, 2))
    sheds = inside(SIZE / 2 + places @ np.stack([out, side]))
    put_boxes(picture, rng, sheds, (14, 34), (10, 20), angle, TILES, shadow=3)


def storage_tanks(picture: Picture, rng: Generator) -> None:
    """Round white tanks with shadows, in rows behind bunds."""
    surroundings(picture, rng)
    radius, angle = rng.uniform(6, 34), rng.uniform(0, np.pi)
    spots = lattice(angle, (2.8 * radius, 2.8 * radius), somewhere(rng, 0.3), rng.uniform(2, 6) * radius)
    tanks = inside(spots, -radius)[:60]
    yard = blob(rng, tanks.mean(axis=0), 5 * radius, 0.2)
    picture.paint(yard, land.soil(rng, mix(rng, *ASPHALT, *land.SOIL, *land.PASTURE)))
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
    blocks = land.near(rng, number, somewhere(rng, 0.2), rng.uniform(20, 160), 0.2)
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
