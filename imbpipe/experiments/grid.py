"""A grid of runs on one (data set, encoder): what is missing is trained, scored and kept."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imbpipe.cache.stored import select
from imbpipe.datasets.splits import Split
from imbpipe.errors import TooLargeError, as_size
from imbpipe.experiments.material import Material
from imbpipe.experiments.measure import measured
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import Setting
from imbpipe.experiments.training import train_grids
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.plan import Cut
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.strategies.text import reads_text
from imbpipe.types import Progress, TrainingSet

if TYPE_CHECKING:
    import pandas as pd

    from imbpipe.heads.bank import Bank

RESULTS_VERSION = 2
"""Raised when training or scoring changes its numbers: older runs are then trained again."""


@dataclass(frozen=True, eq=False)
class Grid:
    """settings x seeds on one split of one data set with one encoder's features.

    thresholds: chosen on the validation images; "f-beta" maximises that of each class, with `beta`; "paper"
        is the search of the paper's code (see `paper_thresholds`).
    percentile: in the results a class is low-frequency when its training count is at or below it.
    """

    material: Material
    split: Split
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    protocol: Protocol = field(default_factory=Protocol)
    beta: float = 2.0
    thresholds: Literal["f-beta", "paper"] = "f-beta"
    percentile: float = 25.0

    @cached_property
    def cells(self) -> tuple[tuple[Setting, int], ...]:
        """Every (setting, seed), seed by seed, so that runs that share batches stand together."""
        return tuple((setting, seed) for seed in self.seeds for setting in self.settings)

    @cached_property
    def keys(self) -> dict[tuple[Setting, int], str]:
        """Of every cell, a hash of all that its numbers depend on.

        But for the device and whether features are streamed: these change a run as another seed would.
        """
        common = {
            "version": RESULTS_VERSION,
            "features": self.material.source.digest,
            "labels": _digest(np.packbits(self.material.dataset.labels), self.material.dataset.class_names),
            "ids": _digest(np.array([]), self.material.dataset.ids),
            "split": [_digest(rows) for rows in (self.split.train, self.split.validation, self.split.test)],
            "protocol": asdict(self.protocol),
            "beta": self.beta,
            "thresholds": self.thresholds,
            "percentile": self.percentile,
        }
        read = {setting: self._read_by(setting) for setting in self.settings}
        return {
            cell: _key({**common, **asdict(cell[0]), **read[cell[0]], "seed": cell[1]}) for cell in self.cells
        }

    def _read_by(self, setting: Setting) -> dict[str, str]:
        """What the setting's numbers depend on and others' do not."""
        text = self.material.text
        return {} if text is None or not reads_text(setting.strategy) else {"text": _digest(text)}

    @property
    def place(self) -> tuple[str, str]:
        return self.material.dataset.name, self.material.source.encoder

    def missing(self, store: ResultStore) -> list[tuple[Setting, int]]:
        """The cells that are still to be trained."""
        unfinished = set(store.missing(*self.place, self.keys.values()))
        return [cell for cell in self.cells if self.keys[cell] in unfinished]

    def results(self, store: ResultStore) -> "pd.DataFrame":
        """A row a (run, class) of the whole grid. Raises ResultsError: a run is not finished."""
        return store.load(*self.place, self.keys.values())

    def train(self, store: ResultStore, *, device: str = "auto", progress: Progress | None = None) -> int:
        """Train and keep what is missing; see `train_grids`."""
        return train_grids([self], store, device=device, progress=progress)

    def units(self, heads: int) -> float:
        """How much work so many heads are: training images times epochs times heads."""
        return float(heads * len(self.split.train) * self.protocol.epochs)

    def plan_data(self) -> TrainingSet:
        """What strategies see: the training rows."""
        dataset = self.material.dataset
        return TrainingSet(
            select(self.material.features, self.split.train),
            dataset.labels[self.split.train],
            dataset.class_names,
            dataset.task,
            self.material.text,
        )

    def run(self, setting: Setting, seed: int) -> Run:
        """The head that is to be trained for a cell.

        Raises TooLargeError: the features stay in their file, and the strategy needs them in memory.
        """
        rng = np.random.default_rng(seed)
        try:
            plan = STRATEGIES[setting.strategy](self.training_set, rng, **setting.values)
        except TooLargeError:
            raise self._too_large(setting.strategy) from None
        return Run(self.split.train, self.split.validation, plan, seed)

    def _too_large(self, strategy: str) -> TooLargeError:
        stored = self.material.stored
        assert stored is not None
        whole = len(self.material.source.ids) * stored.shape[1] * 4
        return TooLargeError(
            f"strategy {strategy!r} needs all features in memory to plan: {as_size(whole)}, "
            f"and {as_size(stored.memory)} are allowed",
            f"Give it --memory {-(-whole // 10**6)}MB where there is as much, or leave the strategy out",
        )

    def keep(
        self, bank: "Bank", runs: Sequence[Run], cells: Sequence[tuple[Setting, int]], store: ResultStore
    ) -> None:
        """Score a bank's heads and keep the results. runs, cells: of each head; all runs share their cut."""
        from imbpipe.heads.slices import rows_an_epoch

        cut = runs[0].plan.cut or Cut(self.thresholds, self.beta)
        for run, cell, (metrics, scores) in zip(runs, cells, measured(self, bank, cut, cells), strict=True):
            metrics["rows"] = rows_an_epoch(run, self.protocol.epochs)
            store.save(*self.place, self.keys[cell], metrics, scores)

    @cached_property
    def training_set(self) -> TrainingSet:
        """`plan_data`, made once, and let go by `release`."""
        return self.plan_data()

    def release(self) -> None:
        """Let go of what only planning needs: a copy of the training features and what was made of it."""
        self.__dict__.pop("training_set", None)


def _digest(array: np.ndarray, names: Sequence[str] = ()) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps([array.shape, list(names)]).encode())
    return digest.hexdigest()


def _key(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
