"""Which way of handling class imbalance helps on your images, on which classes, and is it real?"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imbpipe.api import Comparison, compare, encode
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.load import load_dataset
    from imbpipe.errors import ImbpipeError

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "imbpipe.api",
    "compare": "imbpipe.api",
    "encode": "imbpipe.api",
    "FeatureStore": "imbpipe.cache.store",
    "load_dataset": "imbpipe.datasets.load",
    "ImbpipeError": "imbpipe.errors",
}
"""Public names, loaded when they are first used: importing the package stays light."""

__all__ = ["Comparison", "FeatureStore", "ImbpipeError", "compare", "encode", "load_dataset"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'imbpipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
