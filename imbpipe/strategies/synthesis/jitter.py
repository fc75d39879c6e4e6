"""Gaussian noise: repeats of an image that are not quite the same."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import UsageError
from imbpipe.strategies.limits import at_least_one
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.strategies.synthesis.made import beside_the_real, made_counts
from imbpipe.types import TrainingSet


@STRATEGIES.add("noise")
def noise(data: TrainingSet, rng: Generator, *, threshold: int | None = None, scale: float = 0.1) -> Plan:
    """Fill classes up as `oversample` does, with Gaussian noise on the features of every repeat.

    Classes come in the order of their columns, each filled up with random images of it, counting what
    earlier draws already brought; a repeat keeps its image's labels. At most 32,768 rows are made; where
    more draws are missing, the made ones are repeated.

    threshold: draws a class reaches; by default as many as the most frequent class has images.
    scale: deviation of the noise in each dimension, in units of that dimension's deviation over all images.

    Source: Bishop (1995), "Training with Noise is Equivalent to Tikhonov Regularization"; DeVries & Taylor
    (2017), "Dataset Augmentation in Feature Space", section 3.2.
    """
    if not (np.isfinite(scale) and scale >= 0):
        raise UsageError(f"strategy 'noise': scale is {scale}", "It is a number from 0 up")
    reached = class_counts(data.labels)
    limit = int(reached.max()) if threshold is None else at_least_one("noise", "threshold", threshold)
    repeats = []
    for index, column in enumerate(data.labels.T):
        pool = np.flatnonzero(column)
        rows = rng.choice(pool, max(limit - reached[index], 0)) if len(pool) else pool
        reached = reached + class_counts(data.labels[rows])
        repeats.append(rows)
    missing = np.array([len(rows) for rows in repeats])
    repeats = [rows[:count] for rows, count in zip(repeats, made_counts(missing), strict=True)]
    spread = scale * data.features.std(0, dtype=np.float64).astype(np.float32)
    features = [
        data.features[rows] + spread * rng.standard_normal((len(rows), len(spread)), np.float32)
        for rows in repeats
    ]
    return beside_the_real(data, features, [data.labels[rows] for rows in repeats], missing)
