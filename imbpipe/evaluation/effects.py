"""What a setting changes, over test images, training seeds and splits, and whether that can be told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbpipe.errors import UsageError
from imbpipe.evaluation.differences import Classes, Differences, Measured, measure_all
from imbpipe.evaluation.metrics import LESS_IS_BETTER
from imbpipe.evaluation.trial import Trial
from imbpipe.evaluation.variance import of_images_and_seeds, of_splits
from imbpipe.evaluation.verdict import detectable_effect, equivalence_p, two_sided_p, verdicts

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effect:
    """Ours - theirs: the mean over classes, seeds and splits; one for each mask of classes, (...).

    estimate, low, high: the difference and its interval. error, freedom: the standard error behind it, and
        the degrees of freedom of Student's t. NaN where nothing varied or a class is left out; where both
        settings score alike, as far as the metric looks, the difference is surely 0.
    p: two-sided, of no difference. equivalent_p: of a difference of the margin or more; NaN without margin.
    detectable: the least true difference that would have been found with a chance of 80 %.
    classes: (...) how many went in. left_out: (c,) classes with fewer than two positives or negatives in a
        test part, left out for both. images: distinct ones, tested in any split.
    metric, confidence: as they were asked for.
    seeds: of the split that has fewest; 1 says that seed noise is not covered. splits: 1 says that it holds
        for this training part.
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
    metric: str

    @property
    def verdict(self) -> NDArray[np.str_]:
        """(...) "better", "worse", "equivalent" or "cannot tell", at 1 - confidence; see `verdicts`."""
        return self.answer(self.p)

    def answer(self, p: ArrayLike) -> NDArray[np.str_]:
        """(...) the verdict by p-values adjusted for many tests."""
        gain = -self.estimate if self.metric in LESS_IS_BETTER else self.estimate
        return verdicts(gain, p, self.equivalent_p, level=1 - self.confidence)


def effect(
    trials: Sequence[Trial],
    metric: str,
    classes: Classes,
    *,
    margin: float | None = None,
    confidence: float = 0.95,
) -> Effect:
    """What ours change in a metric, averaged over each mask's classes.

    metric: see `imbpipe metrics`. confidence: of the interval, and one minus the level of the verdicts.
    trials: one a split. classes: (..., c) masks: (c,) for one mean, `np.eye(c, dtype=bool)` for every class;
        or (..., c) float64, what each class counts in a contrast, which is NaN where one of them is left out.
    margin: a difference smaller than that counts as none; fixed before the scores are seen.

    With one split the answer is for training again on the same training part, with other seeds and test
    images; with several, for other training parts too. One seed and split say nothing of other seeds.
    Raises: as `measure`. UsageError: a margin or confidence that cannot be meant.

    Source: see `of_images_and_seeds`, `of_splits`, `equivalence_p`; how often the interval holds the truth is
    measured by benchmarks/calibration.py.
    """
    return effects(trials, [metric], classes, margin=margin, confidence=confidence)[metric]


def effects(
    trials: Sequence[Trial],
    metrics: Sequence[str],
    classes: Classes,
    *,
    margin: float | None = None,
    confidence: float = 0.95,
) -> dict[str, Effect]:
    """`effect` in several metrics, which share what takes long: the order of the scores."""
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence}", "Give a number between 0 and 1, such as 0.95")
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise UsageError(f"a margin of {margin}", "Give a difference above 0 that would not matter")
    masks = np.asarray(classes)
    found = measure_all(trials, metrics, masks.reshape(-1, masks.shape[-1]))
    return {name: _effect(each, trials, name, masks, margin, confidence) for name, each in found.items()}


def _effect(
    measured: Measured,
    trials: Sequence[Trial],
    metric: str,
    masks: Classes,
    margin: float | None,
    confidence: float,
) -> Effect:
    flat = masks.reshape(-1, masks.shape[-1])
    means = np.mean([split.values.mean(axis=0) for split in measured.splits], axis=0)
    estimate = np.where(measured.classes > 0, means, np.nan)
    error, freedom, half = _error(measured.splits, confidence)
    p = two_sided_p(estimate, error, freedom)
    equivalent_p = equivalence_p(estimate, error, freedom, margin)
    same = np.all([split.same for split in measured.splits], axis=0)
    alike = (measured.classes > 0) & ~((flat != 0) & measured.known & ~same).any(axis=1)
    half, p, equivalent_p = (
        np.where(alike, sure, found)
        for sure, found in ((0, half), (1, p), (np.nan if margin is None else 0, equivalent_p))
    )
    shape = masks.shape[:-1]
    return Effect(
        estimate=estimate.reshape(shape),
        low=(estimate - half).reshape(shape),
        high=(estimate + half).reshape(shape),
        error=error.reshape(shape),
        freedom=freedom.reshape(shape),
        p=p.reshape(shape),
        equivalent_p=equivalent_p.reshape(shape),
        detectable=detectable_effect(error, freedom, level=1 - confidence).reshape(shape),
        classes=measured.classes.reshape(shape),
        left_out=~measured.known,
        seeds=min(trial.seeds for trial in trials),
        splits=len(trials),
        images=len(np.unique(np.concatenate([trial.images for trial in trials]))),
        confidence=confidence,
        metric=metric,
    )


def _error(splits: Sequence[Differences], confidence: float) -> tuple[Values, Values, Values]:
    """(g,) standard error, degrees of freedom and half of the interval; NaN where nothing varied.

    The splits' own scatter counts where it makes the larger variance: few splits may scatter little by
    chance, while images and seeds are known better. Of two splits nothing is known well: the wider interval
    is taken.
    """
    from scipy.special import stdtrit

    variance, freedom = of_images_and_seeds(splits)
    half = stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance)
    if len(splits) > 1:
        scatter, few = of_splits(splits)
        half_of_few = stdtrit(few, (1 + confidence) / 2) * np.sqrt(scatter)
        by_splits = (half_of_few > half) | (variance == 0) if len(splits) == 2 else scatter > variance
        variance, freedom = np.where(by_splits, scatter, variance), np.where(by_splits, few, freedom)
        half = np.where(by_splits, half_of_few, half)
    return np.where(variance > 0, np.sqrt(variance), np.nan), freedom, half
