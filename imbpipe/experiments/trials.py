"""Kept scores of finished runs, side by side: what statistics are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from imbpipe.evaluation.differences import Classes
from imbpipe.evaluation.effects import Effect, effects
from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.trial import Trial
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.pool import Pool
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.types import Rows

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Trials:
    """Reads the scores of a pool's runs; the baseline's once, as nearly everything is compared with it."""

    pool: Pool
    store: ResultStore
    _baseline: list[tuple[Scored, np.ndarray]] = field(default_factory=list)

    @cached_property
    def results(self) -> "pd.DataFrame":
        """A row a (run, class) of the whole pool, read once. Raises ResultsError: a run is not finished."""
        return self.pool.results(self.store)

    def effects(
        self,
        settings: Sequence[Setting],
        metrics: Sequence[str],
        classes: Classes,
        *,
        margin: float | None = None,
    ) -> list[dict[str, Effect]]:
        """Of each setting against the baseline, by metric. Arguments, Raises: as `effects`.

        The matrix products are small: threads inside them would only wait for one another.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):
            return [effects(self.of(setting), metrics, classes, margin=margin) for setting in settings]

    def of(self, ours: Setting, theirs: Setting = BASELINE) -> list[Trial]:
        """One a split, run beside run by seed. Raises ResultsError: a run's scores are not there."""
        pairs = zip(self.pool.grids, self._test(ours), self._test(theirs), strict=True)
        groups = self._groups
        return [
            Trial(
                mine,
                other,
                images,
                train_images=len(grid.split.train),
                groups=None if groups is None else groups[images],
            )
            for grid, (mine, images), (other, _) in pairs
        ]

    @cached_property
    def _groups(self) -> Rows | None:
        return self.pool.material.dataset.group_numbers()

    def scored(self, grid: Grid, setting: Setting, part: Part) -> tuple[Scored, np.ndarray]:
        """A setting's scores of one part of a grid's split, (seeds, n, c), and the part's (n,) rows."""
        runs = [self.store.scores(*grid.place, grid.keys[setting, seed]) for seed in grid.seeds]
        scores = np.stack([getattr(run, part) for run in runs])
        labels, rows = (getattr(runs[0], f"{part}_{what}") for what in ("labels", "rows"))
        return Scored(scores, labels, np.stack([run.thresholds for run in runs])), rows

    def _test(self, setting: Setting) -> list[tuple[Scored, np.ndarray]]:
        if setting == BASELINE and self._baseline:
            return self._baseline
        read = [self.scored(grid, setting, "test") for grid in self.pool.grids]
        if setting == BASELINE:
            self._baseline.extend(read)
        return read
