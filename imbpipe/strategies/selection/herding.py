"""Herding: the images whose mean stays closest to the class's mean."""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.selection.order import order_of
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, Rows, TrainingSet


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
        order = order_of(data, "herding", pool, kept, lambda: _following_the_mean(own, before, len(kept)))
        return pool[order.first(count)]

    return pick


def _following_the_mean(own: Features, before: NDArray[np.float64], kept: int) -> Iterator[int]:
    """Places in `own` (n, d), one after the other. before: (d,) the sum of so many rows that are kept."""
    mean = (own.sum(0, dtype=np.float64) + before) / (len(own) + kept)
    pull = own @ mean
    score = (kept + 1) * pull - own @ before
    for _ in range(len(own)):
        picked = int(score.argmax())
        yield picked
        score += pull - own @ own[picked]
        score[picked] = -np.inf
