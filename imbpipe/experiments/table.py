"""The answer in short: every setting beside the baseline, rare classes apart from the rest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.evaluation.intervals import Interval, t_interval
from imbpipe.evaluation.pairs import Runs, paired_difference
from imbpipe.experiments.setting import BASELINE

if TYPE_CHECKING:
    import pandas as pd

GROUPS = {"low-frequency": True, "remaining": False}


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % t-interval; NaN where fewer than two seeds leave it unknown."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One setting on one group of classes.

    classes: how many of the group's classes have a value. value: the metric's mean over them.
    difference: from the baseline, paired by seed; None for the baseline itself.
    """

    strategy: str
    setting: str
    group: str
    classes: int
    seeds: int
    value: Estimate
    difference: Estimate | None


def compare_with_baseline(results: "pd.DataFrame", metric: str) -> list[Comparison]:
    """A Comparison for every (setting, group), the baseline first.

    results: of one data set and encoder, a row a (run, class), the baseline's runs among them. A class
    without a value (no positive in the test part) is left out for all settings alike.
    """
    return [row for group, low in GROUPS.items() for row in _group(results, metric, group, low)]


def _group(results: "pd.DataFrame", metric: str, group: str, low: bool) -> list[Comparison]:
    part = results[results["low_frequency"] == low]
    undefined = set(part.loc[part[metric].isna(), "class_name"])
    part = part[~part["class_name"].isin(undefined)]
    settings = part[["strategy", "setting"]].drop_duplicates().itertuples(index=False, name=None)
    runs = {setting: _runs(part, metric, *setting) for setting in settings}
    return [
        Comparison(
            strategy,
            setting,
            group,
            part["class_name"].nunique(),
            len(own.seeds),
            _estimate(t_interval(own.values)),
            None if strategy == BASELINE.strategy else _difference(own, runs[BASELINE.strategy, ""]),
        )
        for (strategy, setting), own in runs.items()
    ]


def _runs(part: "pd.DataFrame", metric: str, strategy: str, setting: str) -> Runs:
    """The mean over the classes, a value a seed."""
    rows = part[(part["strategy"] == strategy) & (part["setting"] == setting)]
    means = rows.groupby("seed")[metric].mean()
    return Runs(means.to_numpy(), tuple(means.index))


def _difference(own: Runs, baseline: Runs) -> Estimate:
    return _estimate(paired_difference(own, baseline, np.random.default_rng(0)))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(float(interval.mean), float(interval.low), float(interval.high))
