"""Means over groups of classes: low-frequency and remaining, many, medium and few."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.evaluation.curve import PerClass


@dataclass(frozen=True, eq=False)
class GroupMean:
    """mean: (k,), NaN where no class has a value. classes: (k,) how many went in."""

    mean: NDArray[np.float64]
    classes: NDArray[np.int64]


def group_means(values: PerClass, groups: Mapping[str, NDArray[np.bool_]]) -> dict[str, GroupMean]:
    """The mean of a metric over each group of classes; a class whose value is NaN is left out.

    values: (k, c). groups: name -> (c,) mask of its classes.
    Raises ResultsError: a mask that does not fit the classes.
    """
    return {name: _mean(name, values, np.asarray(mask)) for name, mask in groups.items()}


def _mean(name: str, values: PerClass, mask: NDArray[np.bool_]) -> GroupMean:
    if mask.dtype != np.bool_ or mask.shape != values.shape[1:]:
        raise ResultsError(
            f"the group {name!r} is {mask.dtype} of shape {mask.shape} for {values.shape[1]} classes",
            "A group holds True or False for every class",
        )
    known = mask & ~np.isnan(values)
    classes = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    mean = np.divide(total, classes, out=np.full(len(values), np.nan), where=classes > 0)
    return GroupMean(mean, classes)
