"""SMOTE: new rows between an image and its neighbours of the same class."""

import numpy as np
from numpy.random import Generator

from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import PlanError
from imbpipe.strategies.limits import at_least_one
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.single_thread import single_thread
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.strategies.synthesis.made import beside_the_real, made_counts
from imbpipe.types import Features, TrainingSet


@STRATEGIES.add("smote")
def smote(data: TrainingSet, rng: Generator, *, threshold: int | None = None, neighbours: int = 5) -> Plan:
    """Fill classes up with points between an image and one of its nearest neighbours of the class.

    Made by imbalanced-learn; a class of at most `neighbours` images takes all the others of it for
    neighbours, and an image alone in its class is repeated. At most 32,768 rows are made; where more draws
    are missing, the made ones are repeated. For several labels an image see `mlsmote`.

    threshold: draws a class reaches; by default as many as the most frequent class has images.
    neighbours: how many nearest images of the class are candidates for the other end.

    Task: single-label.
    Source: Chawla et al. (2002), "SMOTE: Synthetic Minority Over-sampling Technique".
    """
    if data.task != "single-label":
        raise PlanError(
            "strategy 'smote' makes points within one class, and these images may have several labels",
            "Use the strategy mlsmote",
        )
    at_least_one("smote", "neighbours", neighbours)
    counts = class_counts(data.labels)
    limit = int(counts.max()) if threshold is None else at_least_one("smote", "threshold", threshold)
    missing = np.where(counts > 0, np.maximum(limit - counts, 0), 0)
    if missing.any() and np.count_nonzero(counts) == 1:
        only = data.class_names[int(counts.argmax())]
        raise PlanError(
            f"strategy 'smote': every training row is of class {only!r}", "Leave out the threshold"
        )
    made = made_counts(missing)
    many = {int(i): int(counts[i] + made[i]) for i in np.flatnonzero((counts > neighbours) & (made > 0))}
    found = _made_by_imblearn(data, many, neighbours, rng)
    features = [
        found[i] if i in many else _among_few(data.features[data.labels[:, i]], int(count), rng)
        for i, count in enumerate(made)
    ]
    one_hot = np.eye(len(counts), dtype=bool)
    labels = [np.repeat(one_hot[i : i + 1], count, 0) for i, count in enumerate(made)]
    return beside_the_real(data, features, labels, missing)


def _made_by_imblearn(
    data: TrainingSet, wanted: dict[int, int], neighbours: int, rng: Generator
) -> dict[int, Features]:
    """wanted: class -> rows with the made ones. Gives the made ones of each."""
    if not wanted:
        return {}
    from imblearn.over_sampling import SMOTE

    seed = int(rng.integers(2**31))
    maker = SMOTE(sampling_strategy=wanted, k_neighbors=neighbours, random_state=seed)
    with single_thread():
        features, classes = maker.fit_resample(data.features, data.labels.argmax(1))
    features, classes = features[len(data.features) :], classes[len(data.features) :]
    return {number: features[classes == number] for number in wanted}


def _among_few(x: Features, count: int, rng: Generator) -> Features:
    """`count` rows, each at random between two different rows of x (n, d); the one row where n is 1."""
    if not count:
        return x[:0]
    first = rng.integers(len(x), size=count)
    second = (first + rng.integers(1, max(len(x), 2), size=count)) % len(x)
    return x[first] + rng.random((count, 1), np.float32) * (x[second] - x[first])
