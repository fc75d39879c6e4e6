"""An experiment on one data set with one encoder's features."""

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
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
