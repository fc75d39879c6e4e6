"""The page's numbers: each setting on each class and group, against the baseline, with intervals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.intervals import Interval, t_interval
from imbpipe.report.study import SHOWN_METRICS, Study

DIGITS = 4

Table = dict[str, list[Any]]


def metric_tables(study: Study) -> dict[str, dict[str, Table]]:
    """metric -> {"classes", "groups"} -> columns, each a list over (setting, class or group), row-major.

    mean, low, high: of the metric. diff, diff_low, diff_high: from the baseline with the same split and
    seed. Groups: low-frequency, remaining. None: not known.
    """
    return {
        metric: {"classes": _columns(values), "groups": _columns(_groups(values, study.low, study.measured))}
        for metric in SHOWN_METRICS
        for values in (study.values(metric),)
    }


def _columns(values: NDArray[np.float64]) -> Table:
    """(runs, settings, classes) -> columns."""
    own, difference = t_interval(values), t_interval(values - values[:, :1])
    return {**_named(own, ("mean", "low", "high")), **_named(difference, ("diff", "diff_low", "diff_high"))}


def _named(interval: Interval, names: tuple[str, str, str]) -> Table:
    parts = (interval.mean, interval.low, interval.high)
    return {name: plain(part) for name, part in zip(names, parts, strict=True)}


def _groups(
    values: NDArray[np.float64], low: NDArray[np.bool_], measured: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(runs, settings, 2): means over measured classes with a value in every run; NaN where there is none."""
    known = measured & ~np.isnan(values).any(axis=(0, 1))
    groups = np.full((*values.shape[:2], 2), np.nan)
    for place, mask in enumerate((low & known, ~low & known)):
        if mask.any():
            groups[..., place] = values[..., mask].mean(-1)
    return groups


def plain(array: NDArray[np.float64]) -> list[float | None]:
    """Flat, rounded, None for what is not known: what JSON can hold."""
    return [None if x != x else x for x in np.round(array, DIGITS).ravel().tolist()]
