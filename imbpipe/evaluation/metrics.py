"""The table of metrics, and all of them over a bank of heads at once."""

from collections.abc import Callable, Iterable

import numpy as np

from imbpipe.evaluation.curve import PerClass, blocks
from imbpipe.evaluation.scored import Scored
from imbpipe.registry import Registry

__all__ = ["METRICS", "Metric", "Scored", "evaluate"]

Metric = Callable[[Scored], PerClass]
"""Scored -> (k, c) float64; NaN where the class has no positive image, or nothing else that the metric needs.

A class's value must not depend on other classes or heads: `evaluate` hands over some at a time.
"""

METRICS: Registry[Metric] = Registry("metric", package="imbpipe.evaluation")

LESS_IS_BETTER = frozenset({"brier", "ece"})
"""Metrics that measure what is wrong; of all others more is better."""


def evaluate(scored: Scored, names: Iterable[str] | None = None) -> dict[str, PerClass]:
    """Metrics by name (all where None), each (k, c) float64 with NaN where undefined.

    Scores are sorted once for all metrics, a block of heads and classes at a time.
    Raises UnknownNameError: there is no such metric.
    """
    chosen = {name: METRICS[name] for name in (METRICS if names is None else names)}
    values = {name: np.empty(scored.shape) for name in chosen}
    for heads, classes in blocks(scored.scores.shape):
        block = scored.part(heads, classes)
        for name, metric in chosen.items():
            values[name][heads, classes] = metric(block)
    return values
