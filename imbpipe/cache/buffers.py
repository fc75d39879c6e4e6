"""Room for features on their way to the journal, used again and again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.spec import DTYPES, Spec
from imbpipe.types import Features


class Buffers:
    """Copies of features as they are stored, most of them of at most `rows` rows.

    Taken by the thread that encodes, given back by the one that writes: memory fresh from the system costs
    more than all else that handing rows over does.
    """

    def __init__(self, rows: int, spec: Spec) -> None:
        self._rows, self._dim, self._dtype = rows, spec["dim"], DTYPES[spec["dtype"]]
        self._spare: list[NDArray[Any]] = []

    def copy(self, features: Features) -> NDArray[Any]:
        """(b, dim), C-contiguous, of the stored type; what does not fit into it becomes infinite."""
        count = len(features)
        if self._spare and count <= self._rows:
            whole = self._spare.pop()
        else:
            whole = np.empty((max(count, self._rows), self._dim), self._dtype)
        stored = whole[:count]
        with np.errstate(over="ignore"):
            stored[...] = features
        return stored

    def give_back(self, stored: NDArray[Any]) -> None:
        """Nobody reads this copy any more."""
        assert stored.base is not None
        self._spare.append(stored.base)
