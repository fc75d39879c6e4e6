"""Random resampling that looks at the imbalance of labels and of label sets: ML-ROS, ML-RUS, LP-ROS, LP-RUS.

On single-label data a label set is a class.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import Counts, class_counts
from imbpipe.datasets.imbalance import imbalance_ratios
from imbpipe.strategies.length import Length, phase_of_rows
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.strategy import STRATEGIES, check_number
from imbpipe.types import Labels, Rows, TrainingSet


@STRATEGIES.add("ml-ros")
def ml_ros(data: TrainingSet, rng: Generator, *, percent: float = 25.0, length: Length = "epochs") -> Plan:
    """Repeat random images of labels that are rarer than the mean imbalance allows.

    Labels whose IRLbl (most frequent count over own count) is above the mean over labels take turns; one
    drops out when the copies have brought its IRLbl to that mean.

    percent: copies made, in percent of the training images; fewer where every label drops out before.
    length: `epochs` passes over all drawn rows each epoch; `steps` draws as many of them as there are
        training images, so that it trains as long as the baseline.

    Source: Charte et al. (2015), "Addressing imbalance in multilabel classification", algorithm ML-ROS.
    """
    wanted = _rows_of("ml-ros", percent, data)
    counts = class_counts(data.labels)
    ratios = imbalance_ratios(counts)
    limit = _mean(ratios)
    bags = {label: np.flatnonzero(data.labels[:, label]) for label in np.flatnonzero(ratios > limit)}
    copies: list[int] = []
    while bags and len(copies) < wanted:
        for label in list(bags)[: wanted - len(copies)]:
            copies.append(rng.choice(bags[label]))
            counts += data.labels[copies[-1]]
            if imbalance_ratios(counts)[label] <= limit:
                del bags[label]
    rows = np.concatenate([np.arange(len(data.labels)), np.array(copies, np.int64)])
    return Plan((phase_of_rows(rows, len(data.labels), length),))


@STRATEGIES.add("ml-rus")
def ml_rus(data: TrainingSet, rng: Generator, *, percent: float = 25.0, length: Length = "epochs") -> Plan:
    """Drop random images of labels that are more frequent than the mean imbalance asks.

    Labels whose IRLbl (most frequent count over own count) is below the mean over labels take turns; one
    drops out when deletions have brought its IRLbl to that mean. No label loses its last image.

    percent: images dropped, in percent of the training images; fewer where every label drops out before.
    length: `epochs` passes over all drawn rows each epoch; `steps` draws as many of them as there are
        training images, so that it trains as long as the baseline.

    Source: Charte et al. (2015), "Addressing imbalance in multilabel classification", algorithm ML-RUS.
    """
    wanted = _rows_of("ml-rus", percent, data)
    counts = class_counts(data.labels)
    ratios = imbalance_ratios(counts)
    limit = _mean(ratios)
    order = rng.permutation(len(data.labels))
    bags = {label: [*order[data.labels[order, label]]] for label in np.flatnonzero(ratios < limit)}
    kept = np.ones(len(data.labels), dtype=bool)
    while bags and kept.sum() > len(kept) - wanted:
        for label in list(bags)[: wanted - int((~kept).sum())]:
            row = _next_to_drop(bags[label], kept, counts, data.labels)
            if row is not None:
                kept[row] = False
                counts -= data.labels[row]
            if row is None or imbalance_ratios(counts)[label] >= limit:
                del bags[label]
    return Plan((phase_of_rows(np.flatnonzero(kept), len(data.labels), length),))


def _next_to_drop(bag: list[int], kept: NDArray[np.bool_], counts: Counts, labels: Labels) -> int | None:
    """The bag's next image that is still kept and no label's last; None if it holds none."""
    while bag:
        row = bag.pop()
        if kept[row] and (counts[labels[row]] > 1).all():
            return row
    return None


@STRATEGIES.add("lp-ros")
def lp_ros(data: TrainingSet, rng: Generator, *, percent: float = 25.0, length: Length = "epochs") -> Plan:
    """Repeat random images of label sets that are smaller than the mean label set.

    The copies are shared out evenly; what would lift a label set above the mean goes to the others.

    percent: copies made, in percent of the training images; fewer where all label sets reach the mean.
    length: `epochs` passes over all drawn rows each epoch; `steps` draws as many of them as there are
        training images, so that it trains as long as the baseline.

    Source: Charte et al. (2015), "Addressing imbalance in multilabel classification", algorithm LP-ROS.
    """
    bags, mean = _label_sets(data.labels)
    small = [bag for bag in bags if len(bag) < mean]
    shares = share_out(_rows_of("lp-ros", percent, data), [int(mean) - len(bag) for bag in small])
    copies = [rng.choice(bag, share) for bag, share in zip(small, shares, strict=True)]
    rows = np.concatenate([np.arange(len(data.labels)), *copies])
    return Plan((phase_of_rows(rows, len(data.labels), length),))


@STRATEGIES.add("lp-rus")
def lp_rus(data: TrainingSet, rng: Generator, *, percent: float = 25.0, length: Length = "epochs") -> Plan:
    """Drop random images of label sets that are larger than the mean label set.

    The deletions are shared out evenly; what would push a label set below the mean goes to the others.

    percent: images dropped, in percent of the training images; fewer where all label sets reach the mean.
    length: `epochs` passes over all drawn rows each epoch; `steps` draws as many of them as there are
        training images, so that it trains as long as the baseline.

    Source: Charte et al. (2015), "Addressing imbalance in multilabel classification", algorithm LP-RUS.
    """
    bags, mean = _label_sets(data.labels)
    large = [bag for bag in bags if len(bag) > mean]
    shares = share_out(_rows_of("lp-rus", percent, data), [len(bag) - int(np.ceil(mean)) for bag in large])
    kept = np.ones(len(data.labels), dtype=bool)
    for bag, share in zip(large, shares, strict=True):
        kept[rng.choice(bag, share, replace=False)] = False
    return Plan((phase_of_rows(np.flatnonzero(kept), len(data.labels), length),))


def share_out(total: int, room: list[int]) -> list[int]:
    """`total` in equal parts, none above its room; what does not fit goes to those with more room."""
    shares = [0] * len(room)
    for place, index in enumerate(sorted(range(len(room)), key=room.__getitem__)):
        shares[index] = min(room[index], total // (len(room) - place))
        total -= shares[index]
    return shares


def _label_sets(labels: Labels) -> tuple[list[Rows], float]:
    """The rows of each label set, and their mean number."""
    _, member, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(member.ravel(), kind="stable")
    return np.split(order, np.cumsum(counts)[:-1]), len(labels) / len(counts)


def _mean(ratios: NDArray[np.float64]) -> float:
    """MeanIR, over the labels that have examples."""
    return float(np.nanmean(ratios)) if np.isfinite(ratios).any() else np.inf


def _rows_of(strategy: str, percent: float, data: TrainingSet) -> int:
    check_number(strategy, "percent", percent, 0, 100)
    return int(len(data.labels) * percent / 100)
