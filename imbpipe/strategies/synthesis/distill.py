"""Distillation: a few made points a class in place of all images."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.errors import UsageError
from imbpipe.strategies.limits import at_least_one
from imbpipe.strategies.plan import Phase, Plan, Synthetic
from imbpipe.strategies.selection.centroids import cluster
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, TrainingSet

Matrix = NDArray[np.float64]
Kernel = Callable[[Any, Any], Matrix]
"""(n, d), (m, d) -> (n, m)."""

BLOCK = 4096
"""Images compared with the points together."""

SWEEPS, TOLERANCE = 300, 1e-4
"""Rounds of coordinate descent at most; it stops where no label moves by more than TOLERANCE."""


@STRATEGIES.add("distill")
def distill(
    data: TrainingSet,
    rng: Generator,
    *,
    points: int = 10,
    kernel: Literal["rbf", "linear"] = "rbf",
    ridge: float = 1e-3,
) -> Plan:
    """Train on a few made points a class, whose labels make kernel ridge regression fit all images best.

    The points are the centres of a k-means clustering of each class; their labels, between 0 and 1 for
    each class, are those with which kernel ridge regression on the points alone predicts the labels of all
    images with the least squared error, a convex problem. An epoch repeats the points until
    it is as long as one of all images.

    points: how many a class is given; a class with fewer images as many as it has.
    kernel: rbf (width: the mean squared distance between images) or linear, on features around their mean.
    ridge: regularisation, in units of the mean of the kernel between points and themselves; above 0.

    Source: Nguyen, Chen & Lee (2021), "Dataset Meta-Learning from Kernel Ridge-Regression", section 3
    (label solve), with bounded labels.
    """
    at_least_one("distill", "points", points)
    if not (np.isfinite(ridge) and ridge > 0):
        raise UsageError(f"strategy 'distill': ridge is {ridge}", "It is a number above 0")
    n = len(data.labels)
    made = np.concatenate(
        [_centres(data.features[column], points, rng) for column in data.labels.T if column.any()]
        or [_centres(data.features, points, rng)]
    )
    gram, target = normal_equations(data, made, kernel_of(kernel, data.features), ridge)
    labels = bounded_labels(gram, target).astype(np.float32)
    rows = n + np.resize(np.arange(len(made)), max(n, len(made)))
    return Plan((Phase(rows=rows),), Synthetic(made, labels))


def kernel_of(name: str, features: Features) -> Kernel:
    """The kernel, scaled so that features of another unit give the same."""
    from sklearn.metrics.pairwise import linear_kernel, rbf_kernel

    mean = features.mean(0, dtype=np.float64)
    variance = float(features.var(0, dtype=np.float64).sum()) or 1.0
    if name == "rbf":
        return lambda a, b: rbf_kernel(a - mean, b - mean, gamma=0.5 / variance)
    return lambda a, b: linear_kernel(a - mean, b - mean) / variance + 1


def normal_equations(
    data: TrainingSet, made: Features, kernel: Kernel, ridge: float
) -> tuple[Matrix, Matrix]:
    """A'A (m, m) and A'Y (m, c); A L are the predictions for all images from labels L of the points."""
    own = kernel(made, made)
    square = np.zeros_like(own)
    target = np.zeros((len(made), data.labels.shape[1]))
    for start in range(0, len(data.labels), BLOCK):
        some = slice(start, start + BLOCK)
        between = kernel(data.features[some], made)
        square += between.T @ between
        target += between.T @ data.labels[some]
    inverse = np.linalg.inv(own + ridge * own.trace() / len(own) * np.eye(len(own)))
    return inverse @ square @ inverse, inverse @ target


def bounded_labels(gram: Matrix, target: Matrix) -> Matrix:
    """(m, c) L in [0, 1] with the least |A L - Y|^2, given A'A and A'Y, by coordinate descent."""
    labels = np.full(target.shape, 0.5)
    for _ in range(SWEEPS):
        before = labels.copy()
        for point, row in enumerate(gram):
            labels[point] = np.clip(labels[point] + (target[point] - row @ labels) / row[point], 0, 1)
        if np.abs(labels - before).max() < TOLERANCE:
            break
    return labels


def _centres(own: Features, points: int, rng: Generator) -> Features:
    return own if len(own) <= points else cluster(own, points, rng)
