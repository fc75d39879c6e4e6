"""Hyper-parameters, chosen on validation images alone."""

import numpy as np

from imbpipe.evaluation.metrics import LESS_IS_BETTER, evaluate
from imbpipe.experiments.setting import Setting
from imbpipe.experiments.trials import Trials


def tuned(trials: Trials, metric: str) -> dict[Setting, int]:
    """Of every strategy the setting with the best validation value, and out of how many.

    The value is the metric's mean over the classes that have one in every split, then over seeds and
    splits. Of equally good settings the first is taken. A strategy with one setting keeps it unread.
    Raises ResultsError: a run's scores are not there.
    """
    by_strategy: dict[str, list[Setting]] = {}
    for setting in trials.pool.settings:
        by_strategy.setdefault(setting.strategy, []).append(setting)
    return {_best(trials, settings, metric): len(settings) for settings in by_strategy.values()}


def _best(trials: Trials, settings: list[Setting], metric: str) -> Setting:
    if len(settings) == 1:
        return settings[0]
    sign = -1 if metric in LESS_IS_BETTER else 1
    values = [sign * _validation_mean(trials, setting, metric) for setting in settings]
    return settings[int(np.argmax(values))]


def _validation_mean(trials: Trials, setting: Setting, metric: str) -> float:
    parts = (trials.scored(grid, setting, "validation")[0] for grid in trials.pool.grids)
    values = np.stack([evaluate(part, [metric])[metric].mean(axis=0) for part in parts])
    return float(_known(values).mean())


def _known(values: np.ndarray) -> np.ndarray:
    """(splits, c) without the classes that have no value in a split."""
    return values[:, ~np.isnan(values).any(axis=0)]
