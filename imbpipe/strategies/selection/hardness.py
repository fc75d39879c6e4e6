"""Hardness: the images that a quick linear probe gets most wrong."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.selection.criterion import Pick, criterion, select
from imbpipe.strategies.selection.features import once
from imbpipe.strategies.selection.probe import probabilities
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Labels, Rows, TrainingSet

Score = Callable[[NDArray[np.float32], Labels], NDArray[np.float32]]
"""(probabilities (n, c), labels (n, c)) -> (n,) the higher, the harder."""


@STRATEGIES.add("el2n")
def el2n(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep the images of a class with the largest error of prediction early in training.

    The error is the length of p - y over all classes, averaged over ten linear heads that are trained for
    400 steps of 256 images on the features. The same images for every seed; classes are filled up as
    `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Paul et al. (2021), "Deep Learning on a Data Diet", definition 2.3 (there with whole networks).
    """
    return select("el2n", data, rng, threshold)


@STRATEGIES.add("margin")
def margin(data: TrainingSet, rng: Generator, *, threshold: int | None = None) -> Plan:
    """Keep the images of a class with the smallest margin between what they show and what they do not.

    The margin is the least probability of a label that the image has, less the greatest of one that it
    has not, averaged over the ten linear heads of `el2n`. The same images for every seed; classes are
    filled up as `undersample` does.

    threshold: images a class keeps; by default as many as the rarest class has.

    Source: Crammer & Singer (2001), section 3, for the margin; Coleman et al. (2020), "Selection via Proxy".
    """
    return select("margin", data, rng, threshold)


def error_length(p: NDArray[np.float32], labels: Labels) -> NDArray[np.float32]:
    """(n,) the length of p - y."""
    return np.linalg.norm(p - labels, axis=1)


def violation(p: NDArray[np.float32], labels: Labels) -> NDArray[np.float32]:
    """(n,) the negative margin; an image without labels, or with all, counts as sure of the missing side."""
    return np.where(labels, 0, p).max(1) - np.where(labels, p, 1).min(1)


@criterion("el2n")
def by_el2n(data: TrainingSet, rng: Generator) -> Pick:
    return _hardest(data, error_length)


@criterion("margin")
def by_margin(data: TrainingSet, rng: Generator) -> Pick:
    return _hardest(data, violation)


def _hardest(data: TrainingSet, score: Score) -> Pick:
    hardness = once(data, score, lambda: np.mean([score(p, data.labels) for p in probabilities(data)], 0))

    def pick(pool: Rows, kept: Rows, count: int) -> Rows:
        return pool[np.argsort(-hardness[pool], kind="stable")[:count]]

    return pick
