"""An experiment on one data set with one encoder's features: a grid a split, looked at as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.experiment import Experiment
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material, gather
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import Setting
from imbpipe.experiments.training import train_grids
from imbpipe.types import FeatureSet, Progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Pool:
    """grids: the same settings on one split after another, each with seeds of its own; at least one."""

    grids: tuple[Grid, ...]

    @property
    def material(self) -> Material:
        return self.grids[0].material

    @property
    def settings(self) -> tuple[Setting, ...]:
        return self.grids[0].settings

    @property
    def place(self) -> tuple[str, str]:
        """Data set and encoder."""
        return self.grids[0].place

    def train(self, store: ResultStore, *, device: str = "auto", progress: Progress | None = None) -> int:
        """Train and keep what is missing; see `train_grids`."""
        return train_grids(self.grids, store, device=device, progress=progress)

    def results(self, store: ResultStore) -> "pd.DataFrame":
        """A row a (run, class). Raises ResultsError: a run is not finished."""
        import pandas as pd

        return pd.concat([grid.results(store) for grid in self.grids], ignore_index=True)


def pool_of(
    experiment: Experiment, dataset: Dataset, features: FeatureSet, also: Sequence[Setting] = ()
) -> Pool:
    """The experiment's grids on one (data set, encoder). also: settings besides the experiment's own."""
    material = gather(dataset, features)
    here = experiment.on_dataset(dataset.name)
    return Pool(
        tuple(
            Grid(
                material,
                make_split(material.dataset, here.split_seed + number, kind=here.split),
                tuple(dict.fromkeys([*here.settings(dataset.name), *also])),
                tuple(range(number * here.seeds, (number + 1) * here.seeds)),
                here.protocol,
                here.beta,
                here.thresholds,
                here.percentile,
            )
            for number in range(here.splits)
        )
    )
