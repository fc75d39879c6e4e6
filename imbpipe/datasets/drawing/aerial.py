"""Scenes from the air, and how many of each there are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing import nature, streets, works
from imbpipe.datasets.drawing.picture import Picture, blank, photograph
from imbpipe.datasets.drawing.tail import lifted
from imbpipe.datasets.drawing.weather import clear, haze, partly_cloudy

VERSION = 1
"""Goes up whenever a scene is drawn in another way."""


class Scene(NamedTuple):
    """paint: how it is drawn. stands_for: the scene category of ADE20K whose place in the long tail it
    takes. ade20k: images of that category in ADE20K's training and validation sets."""

    paint: Callable[[Picture, Generator], None]
    stands_for: str
    ade20k: int


SCENES = {
    "forest": Scene(nature.forest, "street", 2241),
    "farmland": Scene(nature.farmland, "bedroom", 1528),
    "residential": Scene(streets.residential, "living_room", 767),
    "river": Scene(nature.river, "bathroom", 738),
    "highway": Scene(streets.highway, "kitchen", 728),
    "lake": Scene(nature.lake, "dining_room", 454),
    "beach": Scene(nature.beach, "skyscraper", 351),
    "desert": Scene(nature.desert, "highway", 325),
    "bare_mountain": Scene(nature.bare_mountain, "building_facade", 251),
    "intersection": Scene(streets.intersection, "conference_room", 184),
    "parking_lot": Scene(streets.parking_lot, "hotel_room", 176),
    "harbour": Scene(works.harbour, "office", 145),
    "snow_mountain": Scene(nature.snow_mountain, "mountain_snowy", 143),
    "golf_course": Scene(works.golf_course, "corridor", 137),
    "runway": Scene(streets.runway, "airport_terminal", 118),
    "storage_tanks": Scene(works.storage_tanks, "game_room", 109),
    "circular_fields": Scene(nature.circular_fields, "waiting_room", 106),
    "island": Scene(nature.island, "home_office", 105),
    "quarry": Scene(works.quarry, "poolroom_home", 105),
    "solar_farm": Scene(works.solar_farm, "art_studio", 98),
}

CLASS_NAMES = tuple(sorted(SCENES))


def scene_counts(images: int) -> dict[str, int]:
    """How many of each scene in about `images`: ADE20K's proportions, the rarest lifted to a fortieth."""
    counts = np.array([SCENES[name].ade20k for name in CLASS_NAMES])
    wanted = lifted(images / 1600 * counts / 7, floor=images / 40)
    return dict(zip(CLASS_NAMES, np.rint(wanted).astype(int).tolist(), strict=True))


def draw_scene(name: str, seed: int, number: int) -> bytes:
    """Picture `number` of a scene as a JPEG, from nearer or farther, under any sky that lets it be seen."""
    rng = np.random.default_rng([seed, CLASS_NAMES.index(name), number])
    picture = blank(rng)
    SCENES[name].paint(picture, rng)
    picture.approach(rng.uniform(0.4, 1), rng)
    (clear, clear, clear, haze, haze, partly_cloudy)[rng.integers(6)](picture, rng)
    return photograph(picture, rng)
