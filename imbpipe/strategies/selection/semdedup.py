"""SemDeDup: what nearly repeats another image goes first."""

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Rows, TrainingSet

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
        mean = x[np.concatenate([pool, kept])].mean(0)
        ordered = pool[np.argsort(x[pool] @ mean, kind="stable")]
        every = x[np.concatenate([kept, ordered])]
        closest = np.full(len(ordered), -np.inf, np.float32)
        for start in range(0, len(ordered), BLOCK):
            stop = min(start + BLOCK, len(ordered))
            cosine = every[len(kept) + start : len(kept) + stop] @ every[: len(kept) + stop].T
            cosine[:, len(kept) + start :][np.triu_indices(stop - start)] = -np.inf
            closest[start:stop] = cosine.max(1)
        return ordered[np.argsort(closest, kind="stable")[:count]]

    return pick
