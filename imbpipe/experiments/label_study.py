"""Everything that labels say about imbalance before any training, and the facts that a person needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.cooccurrence import Pair, shares, strongest_pairs, together
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import Counts, class_counts
from imbpipe.datasets.imbalance import Imbalance, measure
from imbpipe.datasets.stability import Stability, stability
from imbpipe.errors import DatasetError
from imbpipe.experiments.label_effects import LabelEffects, label_effects


@dataclass(frozen=True)
class Questions:
    """splits, fraction: of the random splits. percentile: at or below which a count is low-frequency.

    factor: on images with a low-frequency label. undersample, oversample: thresholds; None: the
    strategy's own.
    """

    splits: int = 1000
    fraction: float = 0.8
    percentile: float = 25.0
    factor: float = 10.0
    undersample: int | None = None
    oversample: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LabelStudy:
    """counts: (c,). rare: (n,) images with a low-frequency label. company: (c, c) shares, see `shares`.

    pairs: strongest first. upweighted, undersampled, oversampled: every label under each plan.
    """

    dataset: Dataset
    asked: Questions
    counts: Counts
    imbalance: Imbalance
    stability: Stability
    rare: NDArray[np.bool_]
    company: NDArray[np.float64]
    pairs: list[Pair]
    upweighted: LabelEffects
    undersampled: LabelEffects
    oversampled: LabelEffects


def study_labels(dataset: Dataset, asked: Questions) -> LabelStudy:
    """Raises DatasetError: there is no image or no label; UsageError: a question that cannot be meant."""
    labels = dataset.labels
    if not labels.any():
        raise DatasetError(
            f"no image of {dataset.name!r} has a label", "Nothing can be said of its imbalance"
        )
    found = stability(
        labels,
        np.random.default_rng(asked.seed),
        splits=asked.splits,
        fraction=asked.fraction,
        percentile=asked.percentile,
    )
    rare: NDArray[np.bool_] = np.any(labels[:, found.low], axis=1)
    both = together(labels)

    def under(strategy: str, given: Mapping[str, object]) -> LabelEffects:
        return label_effects(dataset, strategy, given, rare, seed=asked.seed)

    return LabelStudy(
        dataset,
        asked,
        class_counts(labels),
        measure(labels),
        found,
        rare,
        shares(both),
        strongest_pairs(both, len(dataset)) if dataset.task == "multi-label" else [],
        under("upweight", {"factor": asked.factor, "percentile": asked.percentile}),
        under("undersample", {"threshold": asked.undersample}),
        under("oversample", {"threshold": asked.oversample}),
    )


def facts(study: LabelStudy) -> list[str]:
    """The two or three sentences that matter most."""
    names, low = study.dataset.class_names, study.stability.low
    kind = "classes" if study.dataset.task == "single-label" else "labels"
    most = study.counts[low].max()
    listed = _some([names[c] for c in np.argsort(study.counts, kind="stable") if low[c]])
    return [
        f"{low.sum()} of {len(low)} {kind} are low-frequency (at most {most:,} images, the "
        f"{study.asked.percentile:g}th percentile): {listed}. "
        f"{_percent(study.rare.mean())} of the images carry one.",
        _neighbours(study),
        _stable(study),
    ]


def _neighbours(study: LabelStudy) -> str:
    names, low, factor = study.dataset.class_names, study.stability.low, study.asked.factor
    others = np.flatnonzero(~low)
    if study.dataset.task == "single-label":
        return (
            f"An image has one class, so up-weighting those of low-frequency classes by {factor:g} adds "
            "weight to no other class's positives, only to its negatives."
        )
    held = study.dataset.labels[study.rare].mean(axis=0) if study.rare.any() else np.zeros(len(names))
    if not len(others) or held[others].max() == 0:
        return "No image with a low-frequency label carries another label: up-weighting it is class-clean."
    most = others[held[others].argmax()]
    return (
        f"Up-weighting images with low-frequency labels is not class-clean: "
        f"{_percent(held[most])} of them also carry {names[most]!r}, which at factor {factor:g} gets "
        f"{_percent(study.upweighted.from_marked[most])} of its positives' weight from them; `--per label` "
        "weighs the low-frequency labels alone."
    )


def _stable(study: LabelStudy) -> str:
    found, names = study.stability, study.dataset.class_names
    drawn = f"{found.splits:,} random splits of {_percent(study.asked.fraction)}"
    if found.unchanged == 1:
        return f"The low-frequency set does not depend on the split: it is the same in all of {drawn}."
    unsure = [c for c in np.argsort(np.abs(found.share - 0.5), kind="stable") if 0 < found.share[c] < 1]
    told = _some([f"{names[c]} is in it in {_percent(found.share[c])}" for c in unsure], 3)
    return (
        f"The low-frequency set depends on the split: it comes out unchanged in {_percent(found.unchanged)} "
        f"of {drawn}; {told}."
    )


def _some(words: list[str], most: int = 6) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _percent(share: float) -> str:
    """Whole numbers, but never 0 or 100 for what is neither."""
    if 0 < share < 0.01 or 0.99 < share < 1:
        return f"{100 * share:.2g} %" if share < 0.01 else f"{min(100 * share, 99.9):.1f} %"
    return f"{100 * share:.0f} %"
