"""Fields over a picture: smooth noise, light on relief, soft thresholds. All are (SIZE, SIZE)."""

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

SIZE = 256

Field = NDArray[np.floating[Any]]

Y, X = np.mgrid[:SIZE, :SIZE].astype(np.float32)


def noise(rng: Generator, cell: float) -> Field:
    """Smooth noise of mean 0 and variance about 1, its bumps `cell` pixels apart."""
    cells = SIZE / cell
    grid = rng.standard_normal((math.ceil(cells) + 3,) * 2, dtype=np.float32)
    left, top = 1 + rng.random(2)
    box = (left, top, left + cells, top + cells)
    return 1.2 * np.asarray(Image.fromarray(grid).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))


def fractal(rng: Generator, cell: float, octaves: int = 4, gain: float = 0.55) -> Field:
    """Noise whose bumps have smaller bumps on them, each octave half as wide; variance about 1."""
    weights = gain ** np.arange(octaves, dtype=np.float32)
    layers = [w * noise(rng, cell / 2**k) for k, w in enumerate(weights)]
    return np.add.reduce(layers) / np.linalg.norm(weights)


def relief(height: Field, sun: NDArray[np.float64]) -> Field:
    """Light on a height field: positive on the slopes that face the sun at direction (x, y)."""
    east = np.diff(height, axis=1, prepend=height[:, :1])
    south = np.diff(height, axis=0, prepend=height[:1])
    return -(np.float32(sun[0]) * east + np.float32(sun[1]) * south)


def soft(field: Field, width: float) -> Field:
    """0 where the field is below -width/2, 1 above width/2, a ramp between."""
    return np.clip(field / np.float32(width) + np.float32(0.5), 0, 1)


def turned(angle: float) -> tuple[Field, Field]:
    """Coordinates along and across the direction `angle` (radians), in pixels from the centre."""
    x, y = X - SIZE / 2, Y - SIZE / 2
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return c * x + s * y, c * y - s * x


def moved(field: Field, by: NDArray[np.float64]) -> Field:
    """The field shifted by whole pixels (x, y); what comes into view is its mirror image."""
    columns, rows = (np.abs(np.arange(SIZE) - round(float(step))) for step in by)
    last = SIZE - 1
    return field[last - np.abs(last - rows)[:, None], last - np.abs(last - columns)]
