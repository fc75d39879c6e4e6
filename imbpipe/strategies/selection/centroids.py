"""Cluster centroids: the image nearest to the centre of each of k clusters."""

import warnings

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.single_thread import single_thread
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, Rows, TrainingSet

ROUNDS = 25
"""k-means iterations at most."""


@STRATEGIES.add("cluster-centroids")
def cluster_centroids(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep the image nearest to each centre of a k-means clustering of the class.

    k is how many images the class keeps (imbalanced-learn's ClusterCentroids with hard voting, of which
    each cluster keeps its own image, so that there are exactly k). Multi-label: classes are filled up as
    `undersample` does, each by clustering those of its images that no earlier class kept. On features
    scaled to length 1; k-means stops after 25 rounds.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Yen & Lee (2009), "Cluster-Based Under-Sampling Approaches"; imbalanced-learn.
    """
    return select("cluster-centroids", data, rng, threshold)


@criterion("cluster-centroids", seeded=True)
def by_cluster_centroids(data: TrainingSet, rng: Generator) -> Pick:
    x = unit_features(data)
    return lambda pool, kept, count: pool[nearest_to_centres(x[pool], count, rng)]


def nearest_to_centres(own: Features, count: int, rng: Generator) -> Rows:
    """`count` rows of (n, d): the nearest to each centre, then (where rows are equal) the second nearest."""
    centres = cluster(own, count, rng)
    owner = _nearest(own, centres)
    apart = np.linalg.norm(own - centres[owner], axis=1)
    order = np.lexsort((apart, owner))
    _, start = np.unique(owner[order], return_index=True)
    place = np.empty(len(own), np.int64)
    place[order] = np.arange(len(own)) - np.repeat(start, np.diff([*start, len(own)]))
    return np.argsort(place, kind="stable")[:count]


def cluster(own: Features, count: int, rng: Generator) -> Features:
    """(count, d) centres by k-means; some are equal where fewer rows differ."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(count, n_init=1, max_iter=ROUNDS, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings(), single_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return means.fit(own).cluster_centers_


def _nearest(own: Features, centres: Features) -> Rows:
    """(n,) the centre that each row is nearest to."""
    square = np.einsum("nd,nd->n", centres, centres)
    parts = (own[start : start + 1024] @ centres.T for start in range(0, len(own), 1024))
    return np.concatenate([(square - 2 * part).argmin(1) for part in parts])
