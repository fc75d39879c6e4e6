"""What a setting changes, over test images, training seeds and splits, and whether that can be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation.left_out import values_left_out
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.trial import Trial
from imbpipe.evaluation.variance import Part, variance_of_mean
from imbpipe.evaluation.verdict import detectable_effect, equivalence_p, two_sided_p, verdicts

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effect:
    """Ours - theirs: the mean over classes, seeds and splits; one for each mask of classes, (...).

    estimate, low, high: the difference and its interval. error, freedom: the standard error behind it, and
        the degrees of freedom of Student's t. NaN where nothing varied or a class is left out.
    p: two-sided, of no difference. equivalent_p: of a difference of the margin or more; NaN without margin.
    detectable: the least true difference that would have been found with a chance of 80 %.
    classes: (...) how many went in. left_out: (c,) classes with fewer than two positives in a test part,
        left out for both. seeds: of the split that has fewest; 1 says that seed noise is not covered.
    splits: 1 says that it holds for this training part. images: distinct ones, tested in any split.
    """

    estimate: Values
    low: Values
    high: Values
    error: Values
    freedom: Values
    p: Values
    equivalent_p: Values
    detectable: Values
    classes: NDArray[np.int64]
    left_out: NDArray[np.bool_]
    seeds: int
    splits: int
    images: int
    confidence: float

    @property
    def verdict(self) -> NDArray[np.str_]:
        """(...) "better", "worse", "equivalent" or "cannot tell", at 1 - confidence; see `verdicts`."""
        return verdicts(self.estimate, self.p, self.equivalent_p, level=1 - self.confidence)


def effect(
    trials: Sequence[Trial],
    metric: str,
    classes: NDArray[np.bool_] | NDArray[np.float64],
    *,
    margin: float | None = None,
    confidence: float = 0.95,
) -> Effect:
    """What ours change in a metric, averaged over each mask's classes.

    trials: one a split. classes: (..., c) masks: (c,) for one mean, `np.eye(c, dtype=bool)` for every class;
        or (..., c) float64 contrasts: what each class counts, and NaN where one that counts is left out.
    margin: a difference smaller than that counts as none; fixed before the scores are seen.

    With one split the answer is for training again on the same training part, with other seeds and test
    images; with several, for other training parts too. With one seed a split, seeds are not told apart
    from images.
    Raises ResultsError: no trial, trials of other classes, several overlapping ones without `train_images`.
    UsageError: a margin, confidence or mask that cannot be meant; a metric that is not known by image.

    Source: Obuchowski & Rockette (1995), with Hillis (2007), for runs that share images; Nadeau & Bengio
    (2003) for splits that overlap; Satterthwaite (1946) for the degrees of freedom; Schuirmann (1987) for
    equivalence.
    """
    masks = _checked(trials, classes, margin, confidence)
    flat = masks.reshape(-1, masks.shape[-1])
    differences = [_differences(trial, metric) for trial in trials]
    known = ~np.isnan(np.concatenate([value for value, _ in differences])).any(axis=0)
    known &= np.all([~np.isnan(pull).any(axis=(0, 1)) for _, pull in differences], axis=0)
    count = ((flat != 0) & known).sum(axis=1)
    weights = np.where(known, flat, 0.0).T
    if flat.dtype == np.bool_:
        weights = weights / np.maximum(count, 1)
    else:
        count = np.where(((flat != 0) & ~known).any(axis=1), 0, count)
    parts = [
        Part.of(np.where(known, value, 0) @ weights, np.where(known, pull, 0) @ weights, trial)
        for (value, pull), trial in zip(differences, trials, strict=True)
    ]
    estimate = np.where(count > 0, np.mean([part.mean for part in parts], axis=0), np.nan)
    variance, freedom = variance_of_mean(parts)
    error = np.where((count > 0) & (variance > 0), np.sqrt(variance), np.nan)
    freedom = np.where(np.isnan(error), np.nan, freedom)
    from scipy.special import stdtrit

    half = stdtrit(freedom, (1 + confidence) / 2) * error
    shape = masks.shape[:-1]
    return Effect(
        estimate=estimate.reshape(shape),
        low=(estimate - half).reshape(shape),
        high=(estimate + half).reshape(shape),
        error=error.reshape(shape),
        freedom=freedom.reshape(shape),
        p=two_sided_p(estimate, error, freedom).reshape(shape),
        equivalent_p=equivalence_p(estimate, error, freedom, margin).reshape(shape),
        detectable=detectable_effect(error, freedom, level=1 - confidence).reshape(shape),
        classes=count.reshape(shape),
        left_out=~known,
        seeds=min(trial.seeds for trial in trials),
        splits=len(trials),
        images=len(np.unique(np.concatenate([trial.images for trial in trials]))),
        confidence=confidence,
    )


def _checked(
    trials: Sequence[Trial],
    classes: NDArray[np.bool_] | NDArray[np.float64],
    margin: float | None,
    confidence: float,
) -> NDArray[Any]:
    if not trials:
        raise ResultsError("no trial to compare", "Give one a split")
    columns = {trial.ours.shape[1] for trial in trials}
    if len(columns) > 1:
        raise ResultsError(f"trials of {' and '.join(map(str, sorted(columns)))} classes", "Compare the same")
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence}", "Give a number between 0 and 1, such as 0.95")
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise UsageError(f"a margin of {margin}", "Give a difference above 0 that would not matter")
    masks = np.asarray(classes)
    if masks.dtype not in (np.bool_, np.float64) or masks.shape[-1:] != tuple(columns):
        raise UsageError(
            f"a mask of {masks.dtype} and shape {masks.shape} for {columns.pop()} classes",
            "Give True or False for every class, or what it counts",
        )
    shared = sum(len(trial.images) for trial in trials) > len(
        np.unique(np.concatenate([trial.images for trial in trials]))
    )
    if shared and any(trial.train_images is None for trial in trials):
        raise ResultsError("splits test the same images", "Give every trial its number of train_images")
    return masks


def _differences(trial: Trial, metric: str) -> tuple[Values, Values]:
    """(r, c) ours - theirs, and (r, n, c) how far each image pulls it; pulls squared add up to a variance."""
    value = METRICS[metric](trial.ours) - METRICS[metric](trial.theirs)
    return value, _pulls(trial.ours, metric) - _pulls(trial.theirs, metric)


def _pulls(scored: Scored, metric: str) -> Values:
    left = values_left_out(scored, metric)
    images = left.shape[1]
    return (left.mean(axis=1, keepdims=True) - left) * np.sqrt((images - 1) / images)
