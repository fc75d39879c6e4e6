"""SemDeDup: what nearly repeats another image goes first."""

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.selection.order import order_of
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, Rows, TrainingSet

BLOCK = 512
"""Images compared with all together: BLOCK x n numbers."""


@STRATEGIES.add("semdedup")
def semdedup(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Drop near-duplicates within a class, the nearest first, until `threshold` images are left.

    A class's images are put in order, the least similar to its mean first; one goes the earlier, the
    higher its cosine to any image before it (images that other classes keep stand before all). That is
    the paper's rule with its epsilon set to leave so many, over all pairs instead of within clusters. The
    same images for every seed; classes are filled up as `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Abbas et al. (2023), "SemDeDup: Data-Efficient Learning at Web-Scale through Semantic
    Deduplication", section 3.
    """
    return select("semdedup", data, rng, threshold)


@criterion("semdedup")
def by_semdedup(data: TrainingSet, rng: Generator) -> Pick:
    x = unit_features(data)

    def pick(pool: Rows, kept: Rows, count: int) -> Rows:
        own, others = x[pool], x[kept]
        order = order_of(data, "semdedup", pool, kept, lambda: iter(_most_different_first(own, others)))
        return pool[order.first(count)]

    return pick


def _most_different_first(own: Features, others: Features) -> list[int]:
    """Places in `own` (n, d). others: (m, d) that are kept already and stand before all."""
    mean = np.concatenate([own, others]).mean(0)
    places = np.argsort(own @ mean, kind="stable")
    every, before = np.concatenate([others, own[places]]), len(others)
    closest = np.full(len(own), -np.inf, np.float32)
    for start in range(0, len(own), BLOCK):
        stop = min(start + BLOCK, len(own))
        cosine = every[before + start : before + stop] @ every[: before + stop].T
        cosine[:, before + start :][np.triu_indices(stop - start)] = -np.inf
        closest[start:stop] = cosine.max(1)
    return places[np.argsort(closest, kind="stable")].tolist()
