"""What figures are drawn from, out of an experiment's data sets and finished runs."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.choose import Say, choose_dataset, choose_features
from imbpipe.experiments.experiment import Alternatives, Experiment
from imbpipe.experiments.pool import pool_of
from imbpipe.experiments.results import ResultStore
from imbpipe.figures.figure import FigureInputs, Resampled, needs_of
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Task, TrainingSet

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sources:
    """Where the material of figures lies; what several of them share is read once.

    root: of the named data sets.
    """

    experiment: Experiment
    store: FeatureStore
    results: ResultStore
    root: Path | None
    metric: str
    _read: dict[tuple[str, Alternatives], tuple[str, "pd.DataFrame"] | None] = field(default_factory=dict)

    def inputs(self, name: str, *, say: Say) -> FigureInputs:
        """What figure `name` needs and no more.

        Figures that show labels alone take the first data set whose label file is there, images or not.
        Raises ResultsError: a run of the experiment is not finished; DatasetError.
        """
        needs = needs_of(name)
        sets = self._datasets(needs.roles, images=bool(needs.images or needs.runs), say=say)
        multi, single = sets.get("multi-label"), sets.get("single-label")
        inputs = FigureInputs(multi, single, metric=self.metric)
        if not needs.runs:
            return self._with_resampled(inputs, multi) if multi and needs.resampled else inputs
        return self._with_results(inputs, list(sets.values()), needs.encoders)

    def _datasets(self, roles: tuple[Task, ...], *, images: bool, say: Say) -> dict[Task, Dataset]:
        chosen: dict[Task, Dataset] = {}
        for names in self.experiment.datasets:
            look = self.experiment.read_options(images_needed=False)
            labels = choose_dataset(names, self.root, look, say=_silent)
            if labels.task in roles and labels.task not in chosen:
                whole = self.experiment.read_options()
                chosen[labels.task] = choose_dataset(names, self.root, whole, say=say) if images else labels
        return chosen

    def _with_resampled(self, inputs: FigureInputs, dataset: Dataset) -> FigureInputs:
        """The training images of the experiment's split as its resampling strategies draw them."""
        split = make_split(dataset, self.experiment.split_seed, kind=self.experiment.split)
        labels = dataset.labels[split.train]
        data = TrainingSet(np.empty((len(labels), 0), np.float32), labels, dataset.class_names, dataset.task)
        drawn: dict[str, Resampled] = {}
        for setting in self.experiment.settings(dataset.name):
            plan = STRATEGIES[setting.strategy](data, np.random.default_rng(0), **setting.values)
            if plan.phases[0].rows is not None:
                drawn[setting.strategy] = Resampled(labels, plan.phases[0].rows, setting.label)
        return replace(inputs, undersampled=drawn.get("undersample"), oversampled=drawn.get("oversample"))

    def _with_results(self, inputs: FigureInputs, sets: list[Dataset], panels: int) -> FigureInputs:
        import pandas as pd

        tables, encoders = [], []
        for alternatives in self.experiment.encoders:
            found = [read for dataset in sets if (read := self._results(alternatives, dataset))]
            encoders.append(next((encoder for encoder, _ in found), alternatives[0]))
            tables += [table for _, table in found]
        results = pd.concat(tables, ignore_index=True) if tables else None
        if panels == 1 and results is not None:
            encoders = [name for name in encoders if (results["encoder"] == name).any()]
        return replace(inputs, results=results, encoders=tuple(encoders))

    def _results(self, alternatives: Alternatives, dataset: Dataset) -> tuple[str, "pd.DataFrame"] | None:
        """The encoder at hand and all that it gave; None where none is."""
        place = dataset.name, alternatives
        if place not in self._read:
            features = choose_features(alternatives, dataset, self.store)
            self._read[place] = None
            if features is not None:
                table = pool_of(self.experiment, dataset, features).results(self.results)
                self._read[place] = features.encoder, table
        return self._read[place]


def _silent(message: str) -> None:
    """For a first look at the labels; the choice is told when the images are asked for."""
