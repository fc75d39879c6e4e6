"""What the page shows of one data set by one encoder."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import ResultsError
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.pool import Pool
from imbpipe.experiments.ranking import Ranking, rank
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.trials import Trials

if TYPE_CHECKING:
    import pandas as pd

SHOWN_METRICS = ("ap", "auroc", "recall", "precision", "f1", "f2", "balanced_accuracy", "ece")


@dataclass(frozen=True, eq=False)
class Study:
    """Finished grids: one data set, one encoder, a grid a split, the same settings in each.

    ranking: every setting against the baseline. trials: the results and scores of all runs.
    """

    trials: Trials
    ranking: Ranking

    @classmethod
    def of(cls, pool: Pool, store: ResultStore, *, metric: str, margin: float) -> "Study":
        """metric, margin: see `rank`. Raises ResultsError: a run is not finished."""
        trials = Trials(pool, store)
        return cls(trials, rank(trials, metric, margin=margin, choose=False))

    @property
    def results(self) -> "pd.DataFrame":
        """A row a (run, class), of all splits."""
        return self.trials.results

    @property
    def store(self) -> ResultStore:
        return self.trials.store

    @property
    def grids(self) -> tuple[Grid, ...]:
        return self.trials.pool.grids

    @property
    def dataset(self) -> Dataset:
        return self.grids[0].material.dataset

    @property
    def encoder(self) -> str:
        return self.grids[0].material.source.encoder

    @property
    def weights(self) -> str:
        return str(self.grids[0].material.source.spec["weights"])

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The baseline first."""
        return tuple(dict.fromkeys([BASELINE, *self.grids[0].settings]))

    @cached_property
    def runs(self) -> tuple[tuple[str, int], ...]:
        """(split, seed) of every repeat."""
        return tuple((grid.split.name, seed) for grid in self.grids for seed in grid.seeds)

    @cached_property
    def low(self) -> NDArray[np.bool_]:
        """(c,) the classes that are low-frequency in most runs."""
        share = self.results.groupby("class_name")["low_frequency"].mean()
        return share.reindex(list(self.dataset.class_names)).to_numpy() > 0.5

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """(c,) the classes that means count: those that the ranking does not leave out."""
        return ~np.isin(self.dataset.class_names, self.ranking.left_out)

    def values(self, metric: str) -> NDArray[np.float64]:
        """(runs, settings, classes), NaN where the class has no value. Raises ResultsError: a run twice."""
        rows = self.results
        if rows.duplicated(["strategy", "parameters", "split", "seed", "class_name"]).any():
            raise ResultsError(
                f"the results on {self.dataset.name!r} hold a run twice", "Keep one experiment"
            )
        index = {setting: place for place, setting in enumerate(self.settings)}
        run = {key: place for place, key in enumerate(self.runs)}
        column = {name: place for place, name in enumerate(self.dataset.class_names)}
        keys = zip(rows["strategy"], rows["parameters"], strict=True)
        first = [run[key] for key in zip(rows["split"], rows["seed"], strict=True)]
        second = [index[Setting(*key)] for key in keys]
        third = [column[name] for name in rows["class_name"]]
        values = np.full((len(run), len(index), len(column)), np.nan)
        values[first, second, third] = rows[metric].to_numpy(float)
        return values


def setting_name(setting: Setting) -> str:
    """ "upweight (factor=5.0)"."""
    return f"{setting.strategy} ({setting.label})" if setting.label else setting.strategy
