"""Random undersampling and oversampling to a threshold."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import UsageError
from imbpipe.strategies.length import Length, phase_of_rows
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Labels, Rows, TrainingSet


@STRATEGIES.add("undersample")
def undersample(
    data: TrainingSet, rng: Generator, *, threshold: int | None = None, length: Length = "epochs"
) -> Plan:
    """Keep at most `threshold` random images of a class.

    Single-label: exactly min(count, threshold) of each class. Multi-label: classes in the order of
    their columns (alphabetical), each filled up to `threshold` at random, counting the images that
    earlier classes already brought; so a class that rides along with others ends above it.

    threshold: images a class keeps; by default as many as the rarest class has.
    length: `epochs` passes over all drawn rows each epoch; `steps` draws as many of them as there are
        training images, so that it trains as long as the baseline.

    Source: Buda et al. (2018), section 3.2; Panigrahi & Zhu (2023), section 4.
    """
    counts = class_counts(data.labels)
    limit = _threshold("undersample", threshold, int(counts[counts > 0].min(initial=len(data.labels))))
    kept = np.zeros(len(data.labels), dtype=bool)
    for column in data.labels.T:
        missing = limit - int(np.count_nonzero(kept & column))
        pool = np.flatnonzero(column & ~kept)
        if missing > 0:
            kept[rng.choice(pool, min(missing, len(pool)), replace=False)] = True
    return Plan((phase_of_rows(np.flatnonzero(kept), len(data.labels), length),))


@STRATEGIES.add("oversample")
def oversample(
    data: TrainingSet, rng: Generator, *, threshold: int | None = None, length: Length = "epochs"
) -> Plan:
    """Repeat random images of a class until it is drawn `threshold` times an epoch.

    Every image is kept at least once. Classes are taken in the order of their columns (alphabetical),
    each filled up with random draws, counting what earlier draws already brought. On single-label data
    with a threshold of at least the most frequent class's count, this is exactly uniform.

    threshold: draws a class reaches; by default as many as the most frequent class has images.
    length: `epochs` passes over all drawn rows each epoch; `steps` draws as many of them as there are
        training images, so that it trains as long as the baseline.

    Source: Buda et al. (2018), section 3.2; Panigrahi & Zhu (2023), section 4 and their code.
    """
    limit = _threshold("oversample", threshold, int(class_counts(data.labels).max()))
    return Plan((phase_of_rows(_fill_up(data.labels, limit, rng), len(data.labels), length),))


def _fill_up(labels: Labels, limit: int, rng: Generator) -> Rows:
    reached = class_counts(labels)
    drawn = [np.arange(len(labels))]
    for index, column in enumerate(labels.T):
        missing = limit - reached[index]
        pool = np.flatnonzero(column)
        if missing > 0 and len(pool):
            extra = rng.choice(pool, missing)
            reached = reached + class_counts(labels[extra])
            drawn.append(extra)
    return np.concatenate(drawn)


def _threshold(strategy: str, threshold: int | None, default: int) -> int:
    if threshold is None:
        return default
    if threshold < 1:
        raise UsageError(f"strategy {strategy!r}: threshold is {threshold}", "Thresholds start at 1")
    return threshold
