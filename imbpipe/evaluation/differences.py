"""A metric's differences between two settings, run by run, and how far each image pulls them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation.counts import COUNTED
from imbpipe.evaluation.curve import blocks
from imbpipe.evaluation.left_out import pulls
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.trial import Trial
from imbpipe.types import Rows

Values = NDArray[np.float64]

Classes = NDArray[Any]
"""(..., c) bool: which classes a mean is over; or float64: what each counts in a contrast."""


@dataclass(frozen=True, eq=False)
class Differences:
    """Ours - theirs on one split, averaged over each of g masks of classes.

    values: (r, g). pulls: (r, n, g) of each image, or of each group of images together; squared and added
    over these they make a variance.
    images: (n,) row numbers, or numbers of the groups. overlap: test by training images, 0 where splits share
    none.
    same: (c,) classes in which the two differ on no image that there could be.
    """

    values: Values
    pulls: Values
    images: NDArray[np.int64]
    overlap: float
    same: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Measured:
    """splits: one a trial. classes: (g,) how many went into each mean. known: (c,) classes with two positives
    and two negatives in every trial."""

    splits: list[Differences]
    classes: NDArray[np.int64]
    known: NDArray[np.bool_]


def measure(trials: Sequence[Trial], metric: str, masks: Classes) -> Measured:
    """The differences of each trial. masks: (g, c) True or False for a mean, float64 for a contrast.

    Raises ResultsError: no trial, trials of other classes, splits that share images without `train_images`.
    UsageError: a mask that does not fit; a metric that is not known by image.
    """
    return measure_all(trials, [metric], masks)[metric]


def measure_all(trials: Sequence[Trial], metrics: Sequence[str], masks: Classes) -> dict[str, Measured]:
    """Several metrics of one sort of the scores. Arguments, Raises: as `measure`."""
    _check(trials, masks)
    for metric in metrics:
        _ = METRICS[metric]
    known = np.all([_told_apart(trial) for trial in trials], axis=0)
    count, weights = _weights(masks, known)
    splits = [_differences(trial, metrics, weights, np.flatnonzero(known)) for trial in trials]
    return {metric: Measured([split[metric] for split in splits], count, known) for metric in metrics}


def _weights(masks: Classes, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Values]:
    """(g,) classes that count, and (c, g) how much; none in a contrast of which a class is not known."""
    counted = (masks != 0) & known
    count = counted.sum(axis=1)
    if masks.dtype == np.bool_:
        return count, counted.T / np.maximum(count, 1)
    return np.where(((masks != 0) & ~known).any(axis=1), 0, count), np.where(known, masks, 0.0).T


def _check(trials: Sequence[Trial], masks: Classes) -> None:
    if not trials:
        raise ResultsError("no trial to compare", "Give one a split")
    columns = {trial.ours.shape[1] for trial in trials}
    if len(columns) > 1:
        raise ResultsError(f"trials of {' and '.join(map(str, sorted(columns)))} classes", "Compare the same")
    if masks.dtype not in (np.bool_, np.float64) or masks.shape[1:] != tuple(columns):
        raise UsageError(
            f"a mask of {masks.dtype} and {masks.shape[-1]} classes for {columns.pop()}",
            "Give True or False for every class, or what it counts",
        )
    images = np.concatenate([trial.images for trial in trials])
    if len(np.unique(images)) < len(images) and any(trial.train_images is None for trial in trials):
        raise ResultsError("splits test the same images", "Give every trial its number of train_images")


def _told_apart(trial: Trial) -> NDArray[np.bool_]:
    """(c,) classes that keep a positive and a negative without any one image."""
    return np.minimum(trial.ours.positives[0], trial.ours.negatives[0]) >= 2


def _differences(
    trial: Trial, metrics: Sequence[str], weights: Values, known: NDArray[np.int64]
) -> dict[str, Differences]:
    runs, images = trial.ours.scores.shape[:2]
    groups = weights.shape[1]
    overlap = images / trial.train_images if trial.train_images else 0.0
    found = {
        metric: Differences(
            np.zeros((runs, groups)),
            np.zeros((runs, images, groups)),
            trial.images,
            overlap,
            np.isin(np.arange(len(weights)), known),
        )
        for metric in metrics
    }
    for heads, classes in blocks((runs, images, len(known))):
        columns = known[classes]
        ours, theirs = (side.part(heads, columns) for side in (trial.ours, trial.theirs))
        for metric, made in found.items():
            value = METRICS[metric](ours) - METRICS[metric](theirs)
            equal = (value == 0).all(axis=0)
            if equal.any():
                equal[equal] = _same(ours.part(slice(None), equal), theirs.part(slice(None), equal), metric)
            made.same[columns] &= equal
            made.values[heads] += value @ weights[columns]
            made.pulls[heads] += (pulls(ours, metric) - pulls(theirs, metric)) @ weights[columns]
    if trial.groups is None:
        return found
    return {metric: _by_group(made, trial.groups) for metric, made in found.items()}


def _by_group(single: Differences, groups: Rows) -> Differences:
    """As if each group of images were one image, which pulls as far as all of them together.

    Source: Cameron & Miller (2015), section II, variances robust to clusters.
    """
    numbers, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    sums = np.add.reduceat(single.pulls[:, order], np.cumsum(sizes) - sizes, axis=1)
    few, many = len(numbers), len(groups)
    return replace(
        single, pulls=sums * np.sqrt(few / (few - 1) * (many - 1) / many), images=numbers.astype(np.int64)
    )


def _same(ours: Scored, theirs: Scored, metric: str) -> NDArray[np.bool_]:
    """(c,) classes scored alike, as far as the metric looks: in order, or in value and threshold."""
    if metric in ("ap", "auroc"):
        orders = [np.argsort(side.scores, axis=1, kind="stable") for side in (ours, theirs)]
        return np.all(orders[0] == orders[1], axis=(0, 1))
    same = np.all(ours.scores == theirs.scores, axis=(0, 1))
    return same & np.all(ours.thresholds == theirs.thresholds, axis=0) if metric in COUNTED else same
