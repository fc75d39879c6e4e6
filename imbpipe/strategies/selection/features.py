"""Features as criteria compare them, and what is computed once for all plans on the same data."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from imbpipe.types import Features, TrainingSet

T = TypeVar("T")

_KNOWN: WeakKeyDictionary[TrainingSet, dict[Hashable, Any]] = WeakKeyDictionary()


def once(data: TrainingSet, key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives, kept under `key` for as long as `data` lives. It must not hold on to `data`."""
    known = _KNOWN.setdefault(data, {})
    if key not in known:
        known.setdefault(key, make())
    return known[key]


def unit_features(data: TrainingSet) -> Features:
    """(n, d) features scaled to length 1, so that a product is a cosine; a row of zeros stays one."""

    def scaled() -> Features:
        length = np.linalg.norm(data.features, axis=1, keepdims=True)
        return (data.features / np.where(length > 0, length, 1)).astype(np.float32, copy=False)

    return once(data, "unit features", scaled)
