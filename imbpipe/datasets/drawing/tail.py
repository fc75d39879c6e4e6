"""A long tail in small."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def lifted(sizes: ArrayLike, *, floor: float) -> NDArray[np.float64]:
    """Sizes of classes, none under `floor`, in the order they had.

    A class that would fall under it is given the floor, and 4 % of it more for each class rarer still.
    """
    sizes = np.asarray(sizes, float)
    rarer = (sizes[:, None] > sizes).sum(1)
    return np.maximum(sizes, floor * (1 + 0.04 * rarer))
