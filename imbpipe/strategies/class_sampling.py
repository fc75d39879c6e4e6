"""Strategies that draw a class first, then one of its images."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.strategies.length import Length, phase_of_shares
from imbpipe.strategies.plan import Plan
from imbpipe.strategies.strategy import STRATEGIES, check_number
from imbpipe.types import Labels, TrainingSet


def class_shares(labels: Labels, power: float) -> NDArray[np.float64]:
    """(n,) the probability of each image, when a class is drawn by count^power, then one of its images.

    labels: (n, c). Images without any label are drawn like a class of their own.
    """
    pools = np.column_stack([labels, ~labels.any(axis=1)])
    counts = class_counts(pools)
    odds = np.where(counts > 0, counts.astype(np.float64) ** power, 0)
    return pools @ (odds / odds.sum() / counts.clip(1))


@STRATEGIES.add("square-root")
def square_root(data: TrainingSet, rng: Generator, *, power: float = 0.5, length: Length = "steps") -> Plan:
    """Draw a class in proportion to the square root of its count, then one of its images.

    An image with several classes is drawn for each of them; images without any are a class of their own.

    power: of the count; 0 is class-aware sampling, 1 draws every image of a single-label set alike.
    length: `steps` draws as many rows an epoch as there are training images; `epochs` so many that every
        image is drawn once or more on average.

    Source: Mahajan et al. (2018), "Exploring the limits of weakly supervised pretraining";
    Kang et al. (2020), "Decoupling representation and classifier", equation 1.
    """
    check_number("square-root", "power", power, 0, 1)
    return Plan((phase_of_shares(class_shares(data.labels, power), length),))


@STRATEGIES.add("class-aware")
def class_aware(data: TrainingSet, rng: Generator, *, length: Length = "steps") -> Plan:
    """Draw every class alike, then one of its images.

    An image with several classes is drawn for each of them; images without any are a class of their own.
    Draws are independent, where the source walks through shuffled lists of each class.

    length: `steps` draws as many rows an epoch as there are training images; `epochs` so many that every
        image is drawn once or more on average.

    Source: Shen, Lin & Huang (2016), "Relay backpropagation for effective learning of deep networks".
    """
    return Plan((phase_of_shares(class_shares(data.labels, 0), length),))


@STRATEGIES.add("progressive")
def progressive(data: TrainingSet, rng: Generator, *, stages: int = 10, length: Length = "steps") -> Plan:
    """Go from drawing every image alike to drawing every class alike in the course of training.

    At a fraction t of the run an image's probability is (1 - t) / n + t times that of class-aware sampling.

    stages: how many times the probabilities change; at most as many as there are epochs.
    length: `steps` draws as many rows an epoch as there are training images; `epochs` so many that every
        image is drawn once or more on average.

    Source: Kang et al. (2020), "Decoupling representation and classifier", equation 2.
    """
    check_number("progressive", "stages", stages, 1)
    alike = np.full(len(data.labels), 1 / len(data.labels))
    by_class = class_shares(data.labels, 0)
    starts = [stage / stages for stage in range(stages)]
    return Plan(tuple(phase_of_shares((1 - t) * alike + t * by_class, length, start=t) for t in starts))
