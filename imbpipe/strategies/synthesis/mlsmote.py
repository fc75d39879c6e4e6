"""MLSMOTE: SMOTE for images with several labels."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.strategies.limits import at_least_one
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.single_thread import single_thread
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.strategies.synthesis.made import beside_the_real
from imbpipe.types import Features, Labels, TrainingSet


@STRATEGIES.add("mlsmote")
def mlsmote(data: TrainingSet, rng: Generator, *, neighbours: int = 5) -> Plan:
    """For every image of a minority label make one between it and a neighbour with that label.

    A label is a minority label when its imbalance ratio (the most frequent label's count over its own)
    is above the mean ratio. A made row lies, dimension by dimension, at random between the image and one
    of its nearest neighbours with the label, and has the labels that at least half of the image and those
    neighbours have. A label that one image alone has makes nothing. Every label's images are the real
    ones, also where earlier labels made some that have it.

    neighbours: how many nearest images with the label are candidates for the other end, and vote.

    Source: Charte et al. (2015), "MLSMOTE: Approaching imbalanced multilabel learning through synthetic
    instance generation", algorithm 1 (with label ranking).
    """
    at_least_one("mlsmote", "neighbours", neighbours)
    made = [
        _between(data.features[bag], data.labels[bag], neighbours, rng)
        for bag in data.labels.T[minority_labels(data.labels)]
        if np.count_nonzero(bag) > 1
    ]
    missing = np.array([len(features) for features, _ in made], np.int64)
    return beside_the_real(data, [features for features, _ in made], [labels for _, labels in made], missing)


def minority_labels(labels: Labels) -> NDArray[np.bool_]:
    """(c,) the labels with an imbalance ratio above the mean; labels that no image has count for nothing."""
    counts = class_counts(labels)
    ratio = counts.max() / np.where(counts > 0, counts, np.inf)
    return ratio > ratio[counts > 0].mean() if counts.any() else counts > 0


def _between(x: Features, y: Labels, neighbours: int, rng: Generator) -> tuple[Features, Labels]:
    """A made row for each of the (n, d) images of one label, and its (n, c) labels."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=min(neighbours, len(x) - 1)).fit(x)
    with single_thread():
        near = search.kneighbors(return_distance=False)
    other = near[np.arange(len(x)), rng.integers(near.shape[1], size=len(x))]
    features = x + rng.random(x.shape, np.float32) * (x[other] - x)
    votes = y + y[near].sum(1)
    return features, 2 * votes >= 1 + near.shape[1]
