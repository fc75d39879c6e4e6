"""Moderate coreset: neither the most typical images nor the oddest."""

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Rows, TrainingSet


@STRATEGIES.add("moderate")
def moderate(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep the images whose distance to their class's mean is closest to the median distance.

    Distances are Euclidean between features scaled to length 1; mean and median are over all images of
    the class. The same images for every seed; classes are filled up as `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Xia et al. (2023), "Moderate Coreset: A Universal Method of Data Selection", section 3.
    """
    return select("moderate", data, rng, threshold)


@criterion("moderate")
def by_moderate(data: TrainingSet, rng: Generator) -> Pick:
    x = unit_features(data)

    def pick(pool: Rows, kept: Rows, count: int) -> Rows:
        own = x[np.concatenate([pool, kept])]
        distance = np.linalg.norm(own - own.mean(0), axis=1)
        off = np.abs(distance - np.median(distance))[: len(pool)]
        return pool[np.argsort(off, kind="stable")[:count]]

    return pick
