"""How imbalanced labels are, and how far rare and frequent ones share images.

Sources: Charte et al. (2015), "Addressing imbalance in multilabel classification" (IRLbl, MeanIR, CVIR);
Charte et al. (2019), "Dealing with difficult minority labels in imbalanced mutilabel data sets" (SCUMBLE),
with the standard deviations of the authors' R package mldr.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.frequency import Counts, class_counts
from imbpipe.types import Labels

Ratios = NDArray[np.float64]
"""(c,), NaN for a label without examples."""


@dataclass(frozen=True, eq=False)
class Imbalance:
    """What a matrix of labels (n, c) comes to; NaN where a number is not defined.

    ratios: (c,) IRLbl. mean_ir, max_ir: over labels with examples.
    cv_ir: their standard deviation (c - 1) over their mean.
    cardinality: labels an image. density: cardinality / c. label_sets: distinct ones; single_label_sets:
        those of one image only.
    scumble: mean over images, 0 to 1; 0 where no image has labels of different frequency.
    scumble_cv: the standard deviation (n - 1) of the images' SCUMBLE over its mean.
    label_scumble: (c,) mean over the images of each label.
    """

    ratios: Ratios
    mean_ir: float
    cv_ir: float
    max_ir: float
    cardinality: float
    density: float
    label_sets: int
    single_label_sets: int
    scumble: float
    scumble_cv: float
    label_scumble: Ratios


def imbalance_ratios(counts: Counts) -> Ratios:
    """(c,) IRLbl: the most frequent label's count over each label's; NaN for a label without examples."""
    return counts.max() / np.where(counts > 0, counts, np.nan)


def label_sets(labels: Labels) -> tuple[Labels, Counts]:
    """The distinct rows of `labels` (n, c), and how many images have each."""
    packed, sizes = np.unique(np.packbits(labels, axis=1), axis=0, return_counts=True)
    return np.unpackbits(packed, axis=1, count=labels.shape[1]).astype(bool), sizes


def scumble(labels: Labels, ratios: Ratios) -> NDArray[np.float64]:
    """(n,) of each row: 1 - geometric mean / arithmetic mean of its labels' ratios; 0 without two labels."""
    held = labels.sum(axis=1)
    several = np.maximum(held, 1)
    known = np.nan_to_num(ratios, nan=1.0)
    values = 1 - np.exp(labels @ np.log(known) / several) / np.where(held, labels @ known / several, 1)
    return np.where(held > 1, values.clip(0, 1), 0.0)


def measure(labels: Labels) -> Imbalance:
    """All measures of labels (n, c), n and c at least 1."""
    ratios = imbalance_ratios(class_counts(labels))
    sets, sizes = label_sets(labels)
    by_set = scumble(sets, ratios)
    spread = np.repeat(by_set, sizes)
    known = ratios[~np.isnan(ratios)]
    cardinality = float(sets.sum(axis=1) @ sizes / len(labels))
    held = sizes @ sets
    return Imbalance(
        ratios,
        float(known.mean()) if len(known) else np.nan,
        _variation(known),
        float(known.max()) if len(known) else np.nan,
        cardinality,
        cardinality / labels.shape[1],
        len(sets),
        int(np.count_nonzero(sizes == 1)),
        float(spread.mean()),
        _variation(spread),
        (by_set * sizes) @ sets / np.where(held > 0, held, np.nan),
    )


def _variation(values: NDArray[np.float64]) -> float:
    """Coefficient of variation; NaN where it is not defined."""
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 and values.mean() > 0 else np.nan
