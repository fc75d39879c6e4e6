"""How near features of the same images are to each other."""

import numpy as np

from imbpipe.types import Features


def smallest_cosine(one: Features, other: Features) -> float:
    """Of the images' features, both (b, d)."""
    a, b = (each.astype(np.float64) for each in (one, other))
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
