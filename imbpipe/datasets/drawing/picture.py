"""A picture being drawn from the ground up, and the sensor that takes it."""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from imbpipe.datasets.drawing.fields import SIZE, Field
from imbpipe.datasets.drawing.shapes import Points

Colour = NDArray[np.floating[Any]]
"""(3, 1, 1) or (3, SIZE, SIZE): red, green, blue in 0 to 255."""


@dataclass
class Picture:
    """What later layers need to know of earlier ones.

    pixels: (3, SIZE, SIZE) in 0 to 255. sun: direction (x, y) of the light.
    rivers, roads: paths drawn so far; houses stand along roads, mines along rivers.
    """

    pixels: Colour
    sun: NDArray[np.float64]
    rivers: list[Points] = field(default_factory=list)
    roads: list[Points] = field(default_factory=list)

    def paint(self, mask: Field, colour: Colour) -> None:
        """Lay a colour over the picture, as opaque as the mask."""
        change = colour - self.pixels
        change *= mask
        self.pixels += change

    def darken(self, mask: Field, by: float) -> None:
        """Take a part of the light away where the mask is 1."""
        self.pixels *= 1 - np.float32(by) * mask

    def approach(self, share: float, rng: Generator) -> None:
        """Keep a part that is `share` as wide and high, from somewhere near the middle, and enlarge it."""
        left, top = SIZE * (1 - share) * rng.uniform(0.25, 0.75, 2)
        window = (left, top, left + SIZE * share, top + SIZE * share)
        for band in self.pixels:
            image = Image.fromarray(band.astype(np.float32))
            band[:] = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=window)


def blank(rng: Generator) -> Picture:
    """An empty picture under a sun that stands somewhere in the north or east."""
    azimuth = rng.uniform(-0.9 * np.pi, 0.1 * np.pi)
    sun = np.array([np.cos(azimuth), np.sin(azimuth)])
    return Picture(np.zeros((3, SIZE, SIZE), np.float32), sun)


def mix(rng: Generator, *colours: ArrayLike, spread: float = 0.1) -> Colour:
    """A colour between the given (red, green, blue), lighter or darker by about `spread` of itself."""
    weights = rng.dirichlet(np.ones(len(colours)))
    tint = rng.normal(1, spread) * rng.normal(1, 0.02, 3)
    return (weights @ np.array(colours, float) * tint).astype(np.float32)[:, None, None]


def shaded(colour: Colour, light: Field) -> Colour:
    """(3, SIZE, SIZE): a colour, lighter where `light` is above 0, darker where below."""
    return colour * (1 + light)


def photograph(picture: Picture, rng: Generator) -> bytes:
    """The picture as the sensor gives it, a JPEG: exposure, cast, noise, a little blur."""
    gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.025, 3))
    grain = rng.uniform(0.8, 3.0)
    pixels = picture.pixels * gain.astype(np.float32)[:, None, None]
    pixels += grain * rng.standard_normal((SIZE, SIZE), dtype=np.float32)
    image = Image.merge("RGB", [Image.fromarray(band) for band in np.clip(pixels, 0, 255).astype(np.uint8)])
    file = BytesIO()
    image.filter(ImageFilter.BoxBlur(rng.uniform(0.2, 0.6))).save(file, "JPEG", quality=88)
    return file.getvalue()
