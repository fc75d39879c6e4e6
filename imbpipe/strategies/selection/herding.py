"""Herding: the images whose mean stays closest to the class's mean."""

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Rows, TrainingSet


@STRATEGIES.add("herding")
def herding(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep the images of a class whose mean follows the class's mean most closely.

    One by one, each time the image x with the highest product with w, which starts as the class's mean m
    and grows by m - x; on features scaled to length 1. The same images for every seed; classes are
    filled up as `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Welling (2009), "Herding Dynamical Weights to Learn", section 4; Rebuffi et al. (2017), iCaRL.
    """
    return select("herding", data, rng, threshold)


@criterion("herding")
def by_herding(data: TrainingSet, rng: Generator) -> Pick:
    x = unit_features(data)

    def pick(pool: Rows, kept: Rows, count: int) -> Rows:
        own, before = x[pool], x[kept].sum(0, dtype=np.float64)
        mean = (own.sum(0, dtype=np.float64) + before) / (len(pool) + len(kept))
        pull = own @ mean
        score = (len(kept) + 1) * pull - own @ before
        picked = []
        for _ in range(count):
            picked.append(int(score.argmax()))
            score += pull - own @ own[picked[-1]]
            score[picked[-1]] = -np.inf
        return pool[picked]

    return pick
