"""A whole experiment: its data sets, its encoders, one grid of runs for each pair."""

from collections.abc import Iterator
from pathlib import Path

from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.choose import Say, choose_dataset, choose_features
from imbpipe.experiments.experiment import Experiment
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import gather
from imbpipe.types import FeatureSet


def grid_of(experiment: Experiment, dataset: Dataset, features: FeatureSet) -> Grid:
    """The experiment's grid on one (data set, encoder)."""
    material = gather(dataset, features)
    split = make_split(material.dataset, experiment.split_seed, kind=experiment.split)
    return Grid(
        material,
        split,
        experiment.settings(dataset.name),
        tuple(range(experiment.seeds)),
        experiment.protocol,
        experiment.beta,
    )


def grids(experiment: Experiment, store: FeatureStore, root: Path | None, *, say: Say) -> Iterator[Grid]:
    """The experiment's grids for which there are features, data set by data set."""
    for names in experiment.datasets:
        dataset = choose_dataset(names, root, say=say)
        for encoders in experiment.encoders:
            features = choose_features(encoders, dataset, store)
            if features is not None:
                yield grid_of(experiment, dataset, features)
