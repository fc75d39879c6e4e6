"""The answer in short: which strategy helps the low-frequency classes, and whether that can be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.adjust import holm
from imbpipe.evaluation.effects import Effect
from imbpipe.evaluation.left_out import values_left_out
from imbpipe.evaluation.metrics import LESS_IS_BETTER
from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.verdict import verdicts
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.trials import Trials
from imbpipe.experiments.tuning import tuned

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.02
"""A difference of a metric's mean over several classes that does not matter, unless another is given."""

_TINY = Scored(np.array([[[0.1], [0.9]]]), np.array([[False], [True]]), np.array([[0.5]]))
"""Any scores at all, to ask what is known of a metric before anything is trained."""


@dataclass(frozen=True)
class Difference:
    """From the baseline, mean over a group of classes; NaN where nothing is known.

    low, high: 95 % interval over images, seeds and splits. p: that there is none, by Holm over the
    strategies of the table. detectable: the least that would have been found with a chance of 80 %.
    verdict: better, worse, equivalent (within the margin) or cannot tell.
    """

    estimate: float
    low: float
    high: float
    p: float
    detectable: float
    verdict: str


@dataclass(frozen=True)
class Ranked:
    """One strategy on one (data set, encoder), by its means over test images, seeds and splits.

    settings: out of how many `setting` was chosen on validation images; 1 where it was not chosen.
    low_frequency, remaining: the metric's mean over the group's classes. recall: of the low-frequency ones.
    on_low_frequency, on_remaining: None for the baseline itself.
    rows: training rows an epoch relative to the baseline's; what the strategy costs.
    """

    strategy: str
    setting: str
    settings: int
    low_frequency: float
    recall: float
    remaining: float
    on_low_frequency: Difference | None
    on_remaining: Difference | None
    rows: float


@dataclass(frozen=True)
class Ranking:
    """rows: best on the low-frequency classes first. left_out: classes that no mean or difference counts.

    margin: a difference that does not matter.
    """

    metric: str
    rows: tuple[Ranked, ...]
    left_out: tuple[str, ...]
    margin: float = MARGIN


def rank(trials: Trials, metric: str, *, margin: float = MARGIN, choose: bool = True) -> Ranking:
    """Every strategy beside the baseline.

    choose: of a strategy's settings only the one that is best on validation images; otherwise all.
    A class counts as low-frequency where it is in most of the runs. One with fewer than two positives in
    some test part is left out everywhere.
    Raises ResultsError: a run is not finished. UsageError: a metric whose differences have no interval.
    """
    results = trials.results
    names = trials.pool.material.dataset.class_names
    groups, known = _groups(results, names)
    chosen = tuned(trials, metric) if choose else dict.fromkeys(trials.pool.settings, 1)
    differences = _differences(trials, [s for s in chosen if s != BASELINE], metric, groups, margin)
    rows = [
        _ranked(results, setting, many, metric, groups & known, differences.get(setting, (None, None)))
        for setting, many in chosen.items()
    ]
    rows.sort(key=lambda row: row.low_frequency, reverse=metric not in LESS_IS_BETTER)
    return Ranking(metric, tuple(rows), tuple(np.array(names)[~known].tolist()), margin)


def check_metric(metric: str) -> None:
    """Raises UnknownNameError, UsageError: differences in this metric get no interval."""
    values_left_out(_TINY, metric)


def low_frequency_of(results: "pd.DataFrame", class_names: Sequence[str]) -> NDArray[np.bool_]:
    """(c,) the classes that are low-frequency in most of the runs."""
    shares = results.groupby("class_name")["low_frequency"].mean()
    return shares.reindex(list(class_names)).to_numpy() > 0.5


def _groups(
    results: "pd.DataFrame", class_names: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(2, c): the low-frequency classes and the remaining ones; (c,) those that can be compared."""
    low = low_frequency_of(results, class_names)
    fewest = results.groupby("class_name")["positives_test"].min().reindex(list(class_names)).to_numpy()
    return np.stack([low, ~low]), fewest >= 2


def _ranked(
    results: "pd.DataFrame",
    setting: Setting,
    settings: int,
    metric: str,
    groups: NDArray[np.bool_],
    differences: tuple[Difference | None, Difference | None],
) -> Ranked:
    own, baseline = (results[_are(results, one)] for one in (setting, BASELINE))
    means = own.groupby("class_name", sort=False)[list({metric, "recall"})].mean()
    low, rest = (means[group].mean() if group.any() else means.mean() * np.nan for group in groups)
    return Ranked(
        setting.strategy,
        setting.label,
        settings,
        float(low[metric]),
        float(low["recall"]),
        float(rest[metric]),
        *differences,
        float(own["rows"].mean() / baseline["rows"].mean()),
    )


def _are(results: "pd.DataFrame", setting: Setting) -> "pd.Series[bool]":
    return (results["strategy"] == setting.strategy) & (results["parameters"] == setting.parameters)


def _differences(
    trials: Trials, settings: Sequence[Setting], metric: str, groups: NDArray[np.bool_], margin: float
) -> dict[Setting, tuple[Difference, Difference]]:
    """On both groups; p-values by Holm over the settings, for each group by itself."""
    if not settings:
        return {}
    found = [each[metric] for each in trials.effects(settings, [metric], groups, margin=margin)]
    p, equivalent_p = (
        np.stack([holm([getattr(each, kind)[group] for each in found]) for group in (0, 1)])
        for kind in ("p", "equivalent_p")
    )
    sign = -1 if metric in LESS_IS_BETTER else 1
    words = verdicts(sign * np.stack([each.estimate for each in found], axis=1), p, equivalent_p)
    return {
        setting: (
            _difference(found[i], 0, p[0, i], words[0, i]),
            _difference(found[i], 1, p[1, i], words[1, i]),
        )
        for i, setting in enumerate(settings)
    }


def _difference(found: Effect, group: int, p: float, word: str) -> Difference:
    estimate, low, high, detectable = (
        float(values[group]) for values in (found.estimate, found.low, found.high, found.detectable)
    )
    return Difference(estimate, low, high, float(p), detectable, str(word))
