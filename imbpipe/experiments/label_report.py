"""What labels alone tell of a data set: imbalance, and what strategies would do to every class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts, low_frequency
from imbpipe.datasets.imbalance import (
    Imbalance,
    Stability,
    imbalance,
    shares_with,
    stability,
    together,
    weight_share,
)
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet

FACTOR = 10.0
"""The paper's largest factor of up-weighting."""

FRACTION = 0.8
PARTS = 200


@dataclass(frozen=True, eq=False)
class LabelReport:
    """counts, low: (c,). rare_neighbours: (c,) of a class's images, the share with a low-frequency class.

    weighted: (c,) the share of the class's weight from those when such images count FACTOR times.
    together: (c, c). undersampled, oversampled: (c,) images of an epoch by those strategies' defaults.
    """

    dataset: Dataset
    counts: NDArray[np.int64]
    low: NDArray[np.bool_]
    imbalance: Imbalance
    stability: Stability
    rare_neighbours: NDArray[np.float64]
    weighted: NDArray[np.float64]
    together: NDArray[np.int64]
    undersampled: NDArray[np.int64]
    oversampled: NDArray[np.int64]


def label_report(dataset: Dataset, *, percentile: float = 25.0) -> LabelReport:
    """percentile: a class is low-frequency at or below this one of the counts."""
    labels = dataset.labels
    counts = class_counts(labels)
    low = low_frequency(counts, percentile)
    share = shares_with(labels, low)
    return LabelReport(
        dataset,
        counts,
        low,
        imbalance(labels),
        stability(labels, np.random.default_rng(0), fraction=FRACTION, parts=PARTS, percentile=percentile),
        share,
        weight_share(share, FACTOR),
        together(labels),
        _resampled("undersample", dataset),
        _resampled("oversample", dataset),
    )


def _resampled(strategy: str, dataset: Dataset) -> NDArray[np.int64]:
    labels = dataset.labels
    data = TrainingSet(np.empty((len(labels), 0), np.float32), labels, dataset.class_names, dataset.task)
    rows = STRATEGIES[strategy](data, np.random.default_rng(0)).phases[0].rows
    return class_counts(labels if rows is None else labels[rows])


def in_words(report: LabelReport) -> list[str]:
    """The facts that a person needs before choosing what to compare."""
    names, low = report.dataset.class_names, report.low
    rarest = int(np.where(report.counts > 0, report.counts, report.counts.max()).argmin())
    told = [
        f"The most frequent class has {report.imbalance.max_ratio:,.0f} times the images of "
        f"{names[rarest]!r} ({report.counts[rarest]:,}); "
        f"{int(low.sum())} of {len(names)} classes are low-frequency.",
        f"Which ones are depends on the images at hand: in {report.stability.same:.0%} of {PARTS} random "
        f"{FRACTION:.0%} parts the low-frequency set is that of all images.",
    ]
    rare_images = report.dataset.labels[:, low].any(axis=1)
    others = report.dataset.labels[rare_images][:, ~low]
    if report.dataset.task == "multi-label" and others.size:
        shares = others.mean(axis=0)
        most = int(shares.argmax())
        name = np.array(names, dtype=object)[~low][most]
        told.append(
            f"Up-weighting an image is not class-clean: {shares[most]:.0%} of the images with a "
            f"low-frequency class also carry {name!r}, and {others.any(axis=1).mean():.0%} carry "
            "another class."
        )
    few = [name for name, count in zip(names, report.counts, strict=True) if count < 10]
    if few:
        told.append(f"Fewer than 10 images, too few to tell much: {', '.join(few)}.")
    return told
