"""How imbalanced labels are, by themselves and through each other, before anything is trained."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts, low_frequency
from imbpipe.errors import UsageError
from imbpipe.types import Labels

PerClass = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Imbalance:
    """ratio: (c,) IRLbl, the most frequent class's count over each class's; infinite for an absent class.

    mean_ratio, max_ratio, cv_ratio: MeanIR, MaxIR and CVIR, over classes that occur.
    cardinality: labels an image. density: cardinality over classes. label_sets: distinct ones.
    scumble, scumble_cv: the mean over images of how unequal the ratios of an image's own classes are, and
        its coefficient of variation; 0 where no image carries both a rare and a frequent class.

    Source: Charte et al. (2015), "Addressing imbalance in multilabel classification", equations 1 to 3;
    Charte et al. (2019), "Dealing with difficult minority labels in imbalanced mutilabel data sets",
    equation 3, over the classes that an image carries, as the mldr package has it.
    """

    ratio: PerClass
    mean_ratio: float
    max_ratio: float
    cv_ratio: float
    cardinality: float
    density: float
    label_sets: int
    scumble: float
    scumble_cv: float


def imbalance(labels: Labels) -> Imbalance:
    """labels: (n, c), at least one True."""
    counts = class_counts(labels)
    ratio = np.divide(counts.max(), counts, out=np.full(len(counts), np.inf), where=counts > 0)
    known = ratio[counts > 0]
    of_image = _scumble(labels[:, counts > 0], known)
    mean = float(of_image.mean())
    return Imbalance(
        ratio=ratio,
        mean_ratio=float(known.mean()),
        max_ratio=float(known.max()),
        cv_ratio=_deviation(known) / float(known.mean()),
        cardinality=float(labels.sum(axis=1).mean()),
        density=float(labels.mean()),
        label_sets=len(np.unique(np.packbits(labels, axis=1), axis=0)),
        scumble=mean,
        scumble_cv=_deviation(of_image) / mean if mean > 1e-12 else 0.0,
    )


def _scumble(labels: Labels, ratio: PerClass) -> PerClass:
    """(n,): 1 minus the geometric over the arithmetic mean of the ratios of the image's classes."""
    carried = labels.sum(axis=1)
    some = np.maximum(carried, 1)
    geometric = np.exp(labels @ np.log(ratio) / some)
    arithmetic = np.where(carried > 0, labels @ ratio / some, 1.0)
    return np.where(carried > 0, 1 - geometric / arithmetic, 0.0)


def _deviation(values: PerClass) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class Stability:
    """How the low-frequency set changes with the images at hand.

    share: (c,) of the parts in which the class is low-frequency. same: of the parts whose low-frequency
    set is that of all images.
    """

    share: PerClass
    same: float


def stability(
    labels: Labels, rng: Generator, *, fraction: float = 0.8, parts: int = 200, percentile: float = 25.0
) -> Stability:
    """The low-frequency set of random parts of the images. labels: (n, c). fraction: of the images in a part.

    Raises UsageError: a fraction that leaves no image.
    """
    size = round(fraction * len(labels))
    if not (0 < fraction <= 1 and size > 0):
        raise UsageError(f"a fraction of {fraction}", "Give one above 0, up to 1")
    whole = low_frequency(class_counts(labels), percentile)
    low = np.stack(
        [
            low_frequency(class_counts(labels[rng.permutation(len(labels))[:size]]), percentile)
            for _ in range(parts)
        ]
    )
    return Stability(low.mean(axis=0), float((low == whole).all(axis=1).mean()))


def together(labels: Labels) -> NDArray[np.int64]:
    """(c, c) images that carry both classes; on the diagonal, those of the class."""
    numbers = labels.astype(np.float32)
    return np.rint(numbers.T @ numbers).astype(np.int64)


def shares_with(labels: Labels, chosen: NDArray[np.bool_]) -> PerClass:
    """(c,) of each class's images, the share that carries a chosen class; NaN for an absent class.

    chosen: (c,) classes.
    """
    counts = class_counts(labels)
    carrying = class_counts(labels[labels[:, chosen].any(axis=1)])
    return np.divide(carrying, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def weight_share(share: PerClass, factor: float) -> PerClass:
    """(c,) the share of each class's loss weight that comes from images multiplied by `factor`.

    share: of each class's images that are multiplied. Panigrahi & Zhu (2023) multiply images, so a frequent
    class that rides along with rare ones is weighted by them too.
    """
    return factor * share / (1 + (factor - 1) * share)
