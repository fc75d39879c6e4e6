"""How long an epoch of a sampling strategy is."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imbpipe.strategies.plan import Phase
from imbpipe.types import Rows

Length = Literal["epochs", "steps"]
"""`epochs`: as long as the rows drawn are many. `steps`: as many rows as there are training images, so that
a strategy differs from the baseline in what it draws and not in how long it trains."""


def phase_of_rows(rows: Rows, n: int, length: Length, **more: Any) -> Phase:
    """A phase on these rows (m,) of n; by `steps`, each epoch draws n of them at random."""
    if length == "epochs":
        return Phase(rows=rows, **more)
    return Phase(probability=np.bincount(rows, minlength=n) / len(rows), **more)


def phase_of_shares(shares: NDArray[np.float64], length: Length, **more: Any) -> Phase:
    """A phase in which an image is drawn in proportion to its share, (n,), non-negative, not all 0.

    By `epochs`, an epoch is so long that the image drawn least often (of those drawn at all) is drawn
    once on average.
    """
    rows = None
    if length == "epochs":
        least = shares[shares > 0].min()
        count = int(np.ceil(shares.sum() / least - 1e-6))
        rows = np.arange(count) % len(shares)
    return Phase(rows=rows, probability=shares / shares.sum(), **more)
