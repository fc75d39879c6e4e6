"""Chips of the Amazon: the layers of a picture in the order in which they hide one another."""

from collections.abc import Callable, Collection

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import cover, land, traces, weather
from imbpipe.datasets.drawing.picture import Picture, blank, photograph

VERSION = 1
"""Goes up whenever a chip is drawn in another way."""

LAYERS: dict[str, Callable[[Picture, Generator], None]] = {
    "primary": cover.primary,
    "agriculture": cover.agriculture,
    "cultivation": cover.cultivation,
    "bare_ground": cover.bare_ground,
    "slash_burn": cover.slash_burn,
    "blow_down": cover.blow_down,
    "blooming": cover.blooming,
    "selective_logging": traces.selective_logging,
    "water": cover.water,
    "artisinal_mine": traces.artisinal_mine,
    "conventional_mine": traces.conventional_mine,
    "road": traces.road,
    "habitation": traces.habitation,
    "clear": weather.clear,
    "partly_cloudy": weather.partly_cloudy,
    "haze": weather.haze,
    "cloudy": weather.cloudy,
}


def draw_chip(tags: Collection[str], seed: int, number: int) -> bytes:
    """Chip `number` as a JPEG: rainforest or savanna, and on it what the tags name.

    Each layer has its own generator, so a tag more or less leaves the other layers as they are.
    """
    ground, sensor = (np.random.default_rng([seed, number, part]) for part in range(2))
    picture = blank(ground)
    if "primary" not in tags:
        picture.pixels[:] = land.pasture(picture, ground)
    for part, (tag, paint) in enumerate(LAYERS.items(), 2):
        if tag in tags:
            paint(picture, np.random.default_rng([seed, number, part]))
    return photograph(picture, sensor)
