"""The page's numbers: each setting on each class and group, against the baseline, with intervals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.intervals import t_interval
from imbpipe.evaluation.left_out import BY_IMAGE
from imbpipe.report.study import SHOWN_METRICS, Study

DIGITS = 4

Table = dict[str, list[Any]]


def metric_tables(study: Study) -> dict[str, dict[str, Table]]:
    """metric -> {"classes", "groups"} -> columns, each a list over (setting, class or group), row-major.

    mean, low, high: of the metric, the interval over runs alone. diff, diff_low, diff_high: from the
    baseline with the same split and seed, the interval over test images, seeds and splits (see `effect`).
    Groups: low-frequency, remaining. None: not known.
    """
    masks = np.vstack([np.eye(len(study.low), dtype=bool), study.low, ~study.low])
    masks[-2:] &= study.measured
    ends = _ends(study, masks)
    return {metric: _tables(study, metric, ends.get(metric)) for metric in SHOWN_METRICS}


def _tables(study: Study, metric: str, ends: NDArray[np.float64] | None) -> dict[str, Table]:
    by_class = study.values(metric)
    values = np.concatenate([by_class, _groups(by_class, study.low, study.measured)], axis=2)
    own = t_interval(values)
    change = t_interval(values - values[:, :1]).mean
    low, high = np.full((2, *change.shape), np.nan) if ends is None else ends
    columns = {
        "mean": own.mean, "low": own.low, "high": own.high, "diff": change, "diff_low": low, "diff_high": high
    }  # fmt: skip
    return {
        "classes": {name: plain(column[:, :-2]) for name, column in columns.items()},
        "groups": {name: plain(column[:, -2:]) for name, column in columns.items()},
    }


def _ends(study: Study, masks: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """metric -> (2, settings, masks) ends of the differences' intervals, NaN where none is known.

    Metrics whose differences have no interval are not there.
    """
    metrics = [metric for metric in SHOWN_METRICS if metric in BY_IMAGE]
    ends = {metric: np.full((2, len(study.settings), len(masks)), np.nan) for metric in metrics}
    for place, found in enumerate(study.trials.effects(study.settings[1:], metrics, masks), 1):
        for metric, effect in found.items():
            ends[metric][:, place] = effect.low, effect.high
    return ends


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
