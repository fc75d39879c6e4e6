"""Undersampling by a criterion: which images of a class are worth keeping.

A criterion is one function under `@criterion("name")` that gives a `Pick`; a strategy of the same name
keeps by it as many images of a class as `undersample` does at random, and `subset` a share of all images.
"""

from imbpipe.strategies.selection import (
    centroids,
    facility,
    hardness,
    herding,
    kcenter,
    moderate,
    semdedup,
    subset,
)

__all__ = ["centroids", "facility", "hardness", "herding", "kcenter", "moderate", "semdedup", "subset"]
