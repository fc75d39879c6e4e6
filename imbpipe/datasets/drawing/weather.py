"""What stands between the ground and the sensor, one function a weather label."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.drawing.fields import Field, fractal, moved, noise, relief, soft
from imbpipe.datasets.drawing.picture import Picture, mix, shaded

VEIL = ((104, 120, 122), (124, 132, 124), (134, 130, 116), (98, 104, 106))
CLOUD = ((236, 234, 228), (216, 219, 222), (226, 221, 208))


def clear(picture: Picture, rng: Generator) -> None:
    """Open sky; the air itself takes a little contrast."""
    picture.paint(np.full((1, 1), 0.6 * rng.beta(1.2, 4), np.float32), mix(rng, *VEIL))


def haze(picture: Picture, rng: Generator) -> None:
    """A veil, thicker here than there, through which little of the ground's contrast comes."""
    thickness = rng.uniform(0.25, 0.85) + 0.06 * fractal(rng, 160, 3)
    picture.paint(np.clip(thickness, 0, 0.95), 1.1 * mix(rng, *VEIL))


def partly_cloudy(picture: Picture, rng: Generator) -> None:
    """Puffs or thin shreds, lit on one side, their shadows beside them; a corner of the sky or half of it."""
    clear(picture, rng)
    height = fractal(rng, rng.uniform(40, 130), 6, 0.6)
    height -= np.quantile(height[::8, ::8], 1 - rng.uniform(0.01, 0.5))
    shadow = moved(height, -picture.sun * rng.uniform(12, 50))
    opaque, ragged = (rng.uniform(0.3, 0.8), 2.0) if rng.random() < 0.3 else (1.0, rng.uniform(0.3, 1.2))
    picture.darken(soft(shadow, 0.5), 0.6 * opaque * rng.random())
    picture.paint(opaque * soft(height - 0.1, ragged), _lit(height, picture, rng))


def cloudy(picture: Picture, rng: Generator) -> None:
    """Cloud from border to border: an even deck, or a field of cumulus with dark gaps."""
    height = fractal(rng, rng.uniform(30, 150), 6, rng.uniform(0.35, 0.65))
    gaps = soft(-height - 0.3, 1.5) * max(0, rng.uniform(-0.8, 0.8))
    deck = shaded(mix(rng, *CLOUD) * rng.uniform(0.5, 1), rng.uniform(0.01, 0.12) * height)
    picture.paint(rng.uniform(0.8, 1) * (1 - gaps), shaded(deck, 0.1 * relief(height, picture.sun)))


def _lit(height: Field, picture: Picture, rng: Generator) -> np.ndarray:
    return shaded(mix(rng, *CLOUD, spread=0.03), 0.4 * relief(height, picture.sun) + 0.03 * noise(rng, 9))
