"""Mixup: made rows that are part one image, part another, in features and labels alike."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.errors import UsageError
from imbpipe.strategies.plan import Phase, Plan, Synthetic
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Labels, Rows, TrainingSet


@STRATEGIES.add("mixup")
def mixup(data: TrainingSet, rng: Generator, *, mixing: float = 0.2) -> Plan:
    """Train on mixtures of two random images, with their labels mixed alike.

    As many mixtures as there are images, each image once in each place; they are made once for a run, not
    anew each epoch.

    mixing: alpha, above 0; the share of the first image is drawn from Beta(alpha, alpha).

    Source: Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization", section 2.
    """
    n = len(data.labels)
    _check("mixup", mixing)
    return _mixed(data, np.arange(n), rng.permutation(n), rng.beta(mixing, mixing, n))


@STRATEGIES.add("balanced-mixup")
def balanced_mixup(data: TrainingSet, rng: Generator, *, mixing: float = 0.2) -> Plan:
    """Train on every image mixed with an image of a class drawn evenly.

    The other image is drawn class first, each class that has images as often as any other, then among
    the class's images. As many mixtures as there are images, made once for a run, not anew each epoch.

    mixing: alpha, above 0; the share of the other image is drawn from Beta(alpha, 1), so that it grows
        with alpha: 0.2 mixes in one sixth on average.

    Source: Galdran et al. (2021), "Balanced-MixUp for Highly Imbalanced Medical Image Classification".
    """
    n = len(data.labels)
    _check("balanced-mixup", mixing)
    return _mixed(data, np.arange(n), _evenly(data.labels, n, rng), 1 - rng.beta(mixing, 1, n))


def _evenly(labels: Labels, count: int, rng: Generator) -> Rows:
    """`count` rows, each of a class drawn evenly; any rows where no class has one."""
    pools = [np.flatnonzero(column) for column in labels.T if column.any()] or [np.arange(len(labels))]
    drawn = np.bincount(rng.integers(len(pools), size=count), minlength=len(pools))
    return rng.permutation(
        np.concatenate([rng.choice(pool, size) for pool, size in zip(pools, drawn, strict=True)])
    )


def _mixed(data: TrainingSet, first: Rows, second: Rows, share: NDArray[np.float64]) -> Plan:
    """share: (m,) of the first row in each mixture."""
    part = share.astype(np.float32)[:, None]
    x, y = data.features, data.labels.astype(np.float32)
    features = part * x[first] + (1 - part) * x[second]
    labels = part * y[first] + (1 - part) * y[second]
    rows = len(x) + np.arange(len(features))
    return Plan((Phase(rows=rows),), Synthetic(features, np.clip(labels, 0, 1)))


def _check(strategy: str, mixing: float) -> None:
    if not (np.isfinite(mixing) and mixing > 0):
        raise UsageError(f"strategy {strategy!r}: mixing is {mixing}", "It is a number above 0")
