"""Which labels come together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.types import Labels


@dataclass(frozen=True)
class Pair:
    """Two labels. first, second: columns, the rarer label first.

    together: images with both. share_of_first, share_of_second: of each label's images that have the other.
    phi: correlation of the two columns, -1 to 1; above 0 they come together more often than by chance.
    """

    first: int
    second: int
    together: int
    share_of_first: float
    share_of_second: float
    phi: float


def together(labels: Labels) -> NDArray[np.int64]:
    """(c, c) images that have both labels; each label's own count on the diagonal."""
    numbers = labels.astype(np.float64)
    return (numbers.T @ numbers).astype(np.int64)


def shares(both: NDArray[np.int64]) -> NDArray[np.float64]:
    """(c, c): of the images with the row's label, the share with the column's; NaN without images."""
    counts = both.diagonal()
    return both / np.where(counts > 0, counts, np.nan)[:, None]


def strongest_pairs(both: NDArray[np.int64], images: int, most: int = 10) -> list[Pair]:
    """Pairs by the size of their correlation, the strongest first; a label that never varies has none.

    both: as `together` gives it. images: in all. most: pairs returned at most.
    """
    counts = both.diagonal().astype(np.float64)
    varies = counts * (images - counts)
    scale = np.sqrt(varies)[:, None] * np.sqrt(varies)
    phi = (images * both - counts[:, None] * counts) / np.where(scale > 0, scale, np.nan)
    rows, columns = np.triu_indices(len(counts), 1)
    strength = np.abs(phi[rows, columns])
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")[:most]
    share = shares(both)
    pairs = []
    for place in order[~np.isnan(strength[order])]:
        a, b = sorted((int(rows[place]), int(columns[place])), key=lambda label: counts[label])
        pairs.append(Pair(a, b, int(both[a, b]), float(share[a, b]), float(share[b, a]), float(phi[a, b])))
    return pairs
