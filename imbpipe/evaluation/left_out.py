"""A metric without each image in turn: how much every single image carries of a value.

An image counts only by its label and score, so the value without it comes of the curve by cumulative sums,
exactly and for all images at once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import UsageError
from imbpipe.evaluation.counts import COUNTED, of_counts
from imbpipe.evaluation.curve import Curve
from imbpipe.evaluation.metrics import METRICS
from imbpipe.evaluation.scored import Confusion, Scored

PerImage = NDArray[np.float64]
"""(k, n, c): one number a head, image and class."""

_Parts = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(m,) twice: the value without one positive, and without one negative, of each distinct score."""


def values_left_out(scored: Scored, metric: str) -> PerImage:
    """The metric's value without each image; NaN where nothing is left to have one.

    Raises UnknownNameError: no such metric. UsageError: one that is not known by image (`ece`).

    Source: Quenouille (1956) and Tukey (1958), the jackknife.
    """
    _ = METRICS[metric]
    if metric in COUNTED:
        return _counted(scored, metric)
    if metric in _ORDERED:
        return _by_image(scored, *_ORDERED[metric](scored))
    raise UsageError(
        f"no variance over images is known for {metric!r}", f"Choose one of {', '.join(BY_IMAGE)}"
    )


def pulls(scored: Scored, metric: str) -> PerImage:
    """How far each image pulls the value up; squared and added over the images they make its variance.

    Source: Tukey (1958). Raises: as `values_left_out`.
    """
    left = np.ascontiguousarray(values_left_out(scored, metric))  # sums then do not depend on the layout
    images = left.shape[1]
    return (left.mean(axis=1, keepdims=True) - left) * np.sqrt((images - 1) / images)


def _by_image(scored: Scored, positive: NDArray[Any], negative: NDArray[Any]) -> PerImage:
    return np.where(scored.labels, positive[scored.place], negative[scored.place])


def _up_to_here(curve: Curve, amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) -> (m,): the sum over each score and all lower ones of the stretch."""
    total = np.cumsum(amounts)
    before = total[curve.start] - amounts[curve.start]
    return total - curve.spread(before)


def _divide(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where whole is 0 or less."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _ap(scored: Scored) -> _Parts:
    curve = scored.curve
    true = curve.from_here_up(curve.positives)
    every = true + curve.from_here_up(curve.negatives)
    others = np.maximum(every - 1, 1)  # 0 others: then nothing is left out beneath
    positives = curve.spread(scored.positives)
    steps = curve.positives * true / every
    lost = _up_to_here(curve, curve.positives * true / (every * others))
    whole = curve.spread(curve.sum(steps))
    negative = _divide(whole + lost, positives)
    kept = whole - _up_to_here(curve, steps)
    fewer = (true - 1) / others
    positive = _divide(kept + _up_to_here(curve, curve.positives * fewer) - fewer, positives - 1)
    return positive, negative


def _auroc(scored: Scored) -> _Parts:
    curve = scored.curve
    positives, negatives = curve.spread(scored.positives), curve.spread(scored.negatives)
    over = negatives - curve.from_here_up(curve.negatives) + curve.negatives / 2
    under = curve.from_here_up(curve.positives) - curve.positives / 2
    won = curve.spread(curve.sum(curve.positives * over))
    return (
        _divide(won - over, (positives - 1) * negatives),
        _divide(won - under, positives * (negatives - 1)),
    )


def _brier(scored: Scored) -> _Parts:
    curve = scored.curve
    of_positive, of_negative = (1 - curve.value) ** 2, curve.value**2
    total = curve.spread(curve.sum(curve.positives * of_positive + curve.negatives * of_negative))
    others = np.full(total.shape, len(scored.labels) - 1)
    positives = curve.spread(scored.positives)
    positive = np.where(positives > 1, _divide(total - of_positive, others), np.nan)
    return positive, np.where(positives > 0, _divide(total - of_negative, others), np.nan)


_ORDERED: dict[str, Callable[[Scored], _Parts]] = {"ap": _ap, "auroc": _auroc, "brier": _brier}


BY_IMAGE = (*_ORDERED, *COUNTED)
"""Metrics whose differences have intervals over images."""


def _counted(scored: Scored, metric: str) -> PerImage:
    counts = scored.confusion
    above = scored.scores > scored.thresholds[:, None]

    def without(tp: int = 0, fp: int = 0, fn: int = 0, tn: int = 0) -> NDArray[np.float64]:
        less = Confusion(counts.tp - tp, counts.fp - fp, counts.fn - fn, counts.tn - tn)
        return of_counts(metric, less)[:, None]

    positive = np.where(above, without(tp=1), without(fn=1))
    return np.where(scored.labels, positive, np.where(above, without(fp=1), without(tn=1)))
