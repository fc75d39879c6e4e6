"""What a plan does to every label before anything is trained: how often it is drawn, how much it weighs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.dataset import Dataset
from imbpipe.strategies.plan import Phase
from imbpipe.strategies.strategy import STRATEGIES, read_parameters
from imbpipe.types import Labels, TrainingSet


@dataclass(frozen=True, eq=False)
class LabelEffects:
    """A plan's first phase as c labels feel it.

    rows: drawn in an epoch. positives: (c,) those with each label.
    positive_weight, negative_weight: (c,) mean factor on the loss of a label's positives and negatives;
        NaN where it has none.
    prevalence: (c,) the positives' share of each label's weight.
    from_marked: (c,) share of the weight of a label's positives that comes from the marked images.
    """

    rows: int
    positives: NDArray[np.float64]
    positive_weight: NDArray[np.float64]
    negative_weight: NDArray[np.float64]
    prevalence: NDArray[np.float64]
    from_marked: NDArray[np.float64]


def label_effects(
    dataset: Dataset, strategy: str, given: Mapping[str, Any], marked: NDArray[np.bool_], *, seed: int = 0
) -> LabelEffects:
    """What `strategy` does to the labels of all images; for strategies that look at labels alone.

    given: its parameters. marked: (n,) images whose part of the weight is told.
    Raises UsageError: a parameter that cannot be meant. PlanError.
    """
    labels = dataset.labels
    data = TrainingSet(np.empty((len(labels), 0), np.float32), labels, dataset.class_names, dataset.task)
    plan = STRATEGIES[strategy](data, np.random.default_rng(seed), **read_parameters(strategy, given))
    plan.check(*labels.shape)
    return phase_effects(plan.phases[0], labels, marked)


def phase_effects(phase: Phase, labels: Labels, marked: NDArray[np.bool_]) -> LabelEffects:
    """What one phase on n real rows does to labels (n, c). marked: (n,)."""
    draws = _draws(phase, len(labels))
    weight = np.ones(labels.shape) if phase.weight is None else phase.weight.astype(np.float64)
    weight = draws[:, None] * (weight[:, None] if weight.ndim == 1 else weight)
    positives = draws @ labels
    on_positives = (weight * labels).sum(axis=0)
    on_negatives = (weight * ~labels).sum(axis=0)
    return LabelEffects(
        round(draws.sum()),
        positives,
        _ratio(on_positives, positives),
        _ratio(on_negatives, draws.sum() - positives),
        _ratio(on_positives, on_positives + on_negatives),
        _ratio((weight * labels)[marked].sum(axis=0), on_positives),
    )


def _draws(phase: Phase, n: int) -> NDArray[np.float64]:
    """(n,) how often an epoch draws each row, on average."""
    if phase.probability is not None:
        return phase.probability / phase.probability.sum() * (n if phase.rows is None else len(phase.rows))
    return np.ones(n) if phase.rows is None else np.bincount(phase.rows, minlength=n).astype(np.float64)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return part / np.where(whole > 0, whole, np.nan)
