"""A metric's differences between two settings, run by run, and how far each image pulls them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation.left_out import pulls
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.trial import Trial

Values = NDArray[np.float64]

Classes = NDArray[Any]
"""(..., c) bool: which classes a mean is over; or float64: what each counts in a contrast."""


@dataclass(frozen=True, eq=False)
class Differences:
    """Ours - theirs on one split, averaged over each of g masks of classes.

    values: (r, g). pulls: (r, n, g); squared and added over the images they make a variance.
    images: (n,) row numbers. overlap: test by training images, 0 where splits share none.
    """

    values: Values
    pulls: Values
    images: NDArray[np.int64]
    overlap: float


@dataclass(frozen=True, eq=False)
class Measured:
    """splits: one a trial. classes: (g,) how many went into each mean. known, same: (c,) classes that have a
    value and a variance in every trial, and those that both settings score alike."""

    splits: list[Differences]
    classes: NDArray[np.int64]
    known: NDArray[np.bool_]
    same: NDArray[np.bool_]


def measure(trials: Sequence[Trial], metric: str, masks: Classes) -> Measured:
    """The differences of each trial. masks: (g, c) True or False for a mean, float64 for a contrast.

    Raises ResultsError: no trial, trials of other classes, splits that share images without `train_images`.
    UsageError: a mask that does not fit; a metric that is not known by image.
    """
    _check(trials, masks)
    found = [_by_class(trial, metric) for trial in trials]
    known = ~np.isnan(np.concatenate([values for values, _ in found])).any(axis=0)
    known &= ~np.any([np.isnan(pull).any(axis=(0, 1)) for _, pull in found], axis=0)
    count, weights = _weights(masks, known)
    splits = [
        Differences(
            np.where(known, values, 0) @ weights,
            np.where(known, pull, 0) @ weights,
            trial.images,
            len(trial.images) / trial.train_images if trial.train_images else 0.0,
        )
        for (values, pull), trial in zip(found, trials, strict=True)
    ]
    same = np.all([_alike(trial) for trial in trials], axis=0)
    return Measured(splits, count, known, same)


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


def _alike(trial: Trial) -> NDArray[np.bool_]:
    """(c,) classes that both settings score and cut alike."""
    scores = (trial.ours.scores == trial.theirs.scores).all(axis=(0, 1))
    return scores & (trial.ours.thresholds == trial.theirs.thresholds).all(axis=0)


def _by_class(trial: Trial, metric: str) -> tuple[Values, Values]:
    values = METRICS[metric](trial.ours) - METRICS[metric](trial.theirs)
    return values, pulls(trial.ours, metric) - pulls(trial.theirs, metric)
