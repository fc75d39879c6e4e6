"""Planet's labels for what covers the land, one function a label."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import land
from imbpipe.datasets.drawing.fields import SIZE, fractal, noise, soft
from imbpipe.datasets.drawing.picture import Picture, mix, shaded
from imbpipe.datasets.drawing.shapes import Stencil, between, blob, crossing, discs, pit, somewhere, walk


def primary(picture: Picture, rng: Generator) -> None:
    """Rainforest, from border to border; what is cleared is painted over it."""
    picture.pixels[:] = land.canopy(picture, rng)


def agriculture(picture: Picture, rng: Generator) -> None:
    """Pasture and large fields with straight borders; a corner of the picture or most of it."""
    number, across = land.plots(rng, rng.uniform(30, 130), rng.uniform(1, 5))
    farmed = land.near(rng, number, somewhere(rng, -0.05), between(rng, 20, 220), 0.15)
    crops, grass = land.fields(rng, number, across), land.pasture(picture, rng)
    grazed = (rng.random(land.GRID**2) < (0.2 if rng.random() < 0.4 else 0.9))[number]
    picture.paint(farmed, np.where(grazed, grass, crops))


def cultivation(picture: Picture, rng: Generator) -> None:
    """Shifting cultivation: small crooked plots in a clearing, each at another stage of regrowth."""
    number, across = land.plots(rng, rng.uniform(10, 30), rng.uniform(2.5, 6))
    planted = land.near(rng, number, somewhere(rng), between(rng, 14, 80), 0.3)
    regrowth = 0.12 * noise(rng, 3.5) + 0.1 * fractal(rng, 14, 3)
    crops = shaded(land.fields(rng, number, across) * rng.uniform(0.7, 1), regrowth)
    picture.paint(planted * rng.uniform(0.6, 1), crops)


def bare_ground(picture: Picture, rng: Generator) -> None:
    """Soil without cover, bright tan: a few patches, now and then the whole picture."""
    radius = between(rng, 12, 120)
    mask = blob(rng, somewhere(rng), radius, 0.7) * soft(fractal(rng, radius) + 0.9, 1)
    picture.paint(mask * rng.uniform(0.6, 1), land.soil(rng, mix(rng, *land.SOIL)))


def slash_burn(picture: Picture, rng: Generator) -> None:
    """Charred plots with a scorched brown rim and streaks of ash; sometimes smoke."""
    centre = somewhere(rng, 0.1)
    depth = pit(rng, centre, between(rng, 14, 90)) + 0.12 * fractal(rng, 16)
    rim = soft(depth + 0.25, 0.4) * soft(fractal(rng, 10) + 0.8, 2)
    picture.paint(rim * 0.7, mix(rng, (104, 86, 66), (88, 80, 58), (110, 96, 78)))
    ash = 56 * soft(fractal(rng, 14) - 0.9, 1.2)
    char = shaded(mix(rng, (44, 38, 34), (58, 48, 42), (36, 38, 36)), 0.25 * fractal(rng, 12, 3)) + ash
    picture.paint(soft(depth, 0.15) * rng.uniform(0.7, 1), char)
    if rng.random() < 0.3:
        smoke = mix(rng, (190, 194, 198))
        for i, point in enumerate(walk(rng, centre, rng.uniform(60, 160), 0.06)[::3]):
            picture.paint(blob(rng, point, 4 + 2 * i, 0.5, 14) * 0.2, smoke)


def blow_down(picture: Picture, rng: Generator) -> None:
    """Trees felled by one gust: a fan of pale trunks that all point away from its handle."""
    handle, heading = somewhere(rng, 0.15), rng.uniform(0, 2 * np.pi)
    opening, reach = rng.uniform(0.2, 0.5), between(rng, 60, 200)
    trunks = round(reach * opening * rng.uniform(3, 8))
    bearings = heading + opening * rng.normal(0, 0.6, trunks)
    away = np.stack([np.cos(bearings), np.sin(bearings)], 1)
    feet = handle + away * reach * np.sqrt(rng.random((trunks, 1)))
    tips = feet + away * rng.uniform(3, 10, (trunks, 1))
    torn = discs(feet, rng.uniform(1.5, 6, trunks)) * soft(noise(rng, 7) + 0.5, 2)
    litter = shaded(mix(rng, (92, 92, 64), (100, 90, 70)), 0.2 * noise(rng, 3))
    picture.paint(torn * rng.uniform(0.2, 0.6), litter)
    stencil = Stencil()
    for foot, tip in zip(feet, tips, strict=True):
        stencil.line([foot, tip], rng.uniform(0.4, 0.9))
    picture.paint(stencil.mask * rng.uniform(0.35, 0.8), mix(rng, (166, 154, 134), (146, 128, 106)))


def blooming(picture: Picture, rng: Generator) -> None:
    """Single crowns in flower: pink, yellow or white spots scattered over the canopy."""
    crowns = rng.integers(8, 140)
    mask = discs(rng.uniform(0, SIZE, (crowns, 2)), rng.uniform(0.7, 2.0, crowns))
    flowers = mix(rng, (196, 150, 146), (206, 190, 116), (204, 200, 184))
    picture.paint(mask * soft(noise(rng, 2.5) + 1, 1) * rng.uniform(0.25, 0.85), flowers)


def water(picture: Picture, rng: Generator) -> None:
    """A stream, a river with sand bars, or a lake; black, blue or brown."""
    colour = mix(rng, *(land.MUD if rng.random() < 0.4 else land.CLEAN), spread=0.15)
    if rng.random() < 0.2:
        mask = blob(rng, somewhere(rng, 0), between(rng, 12, 120), 0.5)
    else:
        path, width = crossing(rng, rng.uniform(8, 45)), between(rng, 1.6, 110)
        picture.rivers.append(path)
        mask = land.river(rng, path, width)
        if rng.random() < 0.35:
            bar = land.river(rng, path + rng.normal(0, width / 4, 2), width)
            picture.paint(bar * soft(fractal(rng, 40), 1), land.soil(rng, mix(rng, *land.SAND)))
    picture.paint(mask, land.water(rng, colour))
