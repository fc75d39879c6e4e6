"""Facility location: every image of the class resembles a kept one."""

import math

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, Rows, TrainingSet

EPSILON = 0.05
"""What stochastic greedy may lose of greedy's 1 - 1/e, in expectation."""

BLOCK = 256
"""Candidates whose similarities are computed together: BLOCK x n numbers."""


@STRATEGIES.add("facility-location")
def facility_location(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep the images that together resemble all images of the class most.

    Maximises the sum, over the class's images, of the cosine to the most similar kept one, greedily; each
    step looks at random candidates, n/k ln(1/0.05) of a class of n to keep k of, so the result reaches
    at least 1 - 1/e - 0.05 of the best possible on average (with similarities from 0 up: cosine + 1).
    Classes are filled up as `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Wei, Iyer & Bilmes (2015), "Submodularity in Data Subset Selection and Active Learning";
    Mirzasoleiman et al. (2015), "Lazier Than Lazy Greedy", algorithm 1.
    """
    return select("facility-location", data, rng, threshold)


@criterion("facility-location", seeded=True)
def by_facility_location(data: TrainingSet, rng: Generator) -> Pick:
    x = unit_features(data)
    return lambda pool, kept, count: pool[cover(x[pool], x[kept], count, rng)]


def cover(own: Features, others: Features, count: int, rng: Generator, epsilon: float = EPSILON) -> Rows:
    """`count` rows of `own` (n, d) that with all of `others` (m, d) resemble both most. Unit lengths.

    epsilon: see EPSILON; where n/count ln(1/epsilon) reaches n, every step looks at all: plain greedy.
    """
    every = np.concatenate([own, others])
    best = np.full(len(every), -1, np.float32)
    for start in range(0, len(others), BLOCK):
        np.maximum(best, (others[start : start + BLOCK] @ every.T).max(0), out=best)
    looks = math.ceil(len(own) / count * math.log(1 / epsilon))
    free = np.ones(len(own), dtype=bool)
    picked: list[int] = []
    while len(picked) < count:
        left = rng.permutation(np.flatnonzero(free))
        each = min(looks, len(left))
        steps = max(1, min(BLOCK, len(left) // 8) // each)
        similarity = own[left[: steps * each]] @ every.T
        for candidates in np.arange(steps * each).reshape(steps, each)[: count - len(picked)]:
            gain = np.maximum(similarity[candidates] - best, 0).sum(1)
            chosen = candidates[gain.argmax()]
            np.maximum(best, similarity[chosen], out=best)
            picked.append(int(left[chosen]))
        free[picked] = False
    return np.array(picked)
