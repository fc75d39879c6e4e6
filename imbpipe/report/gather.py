"""The finished studies of an experiment."""

from pathlib import Path

from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.options import STRICT
from imbpipe.errors import ResultsError
from imbpipe.experiments.choose import Say, choose_dataset, choose_features
from imbpipe.experiments.compare import grid_of
from imbpipe.experiments.experiment import Experiment
from imbpipe.experiments.results import ResultStore
from imbpipe.report.study import Study


def studies_of(experiment: Experiment, cache: Path, root: Path | None, *, say: Say) -> list[Study]:
    """One a (data set, encoder) whose features are there.

    Raises ResultsError: a run is not finished, or there are no features at all.
    """
    store, results = FeatureStore(cache), ResultStore(cache)
    studies = []
    for names in experiment.datasets:
        dataset = choose_dataset(names, root, STRICT, say=say)
        for alternatives in experiment.encoders:
            features = choose_features(alternatives, dataset, store)
            if features is not None:
                studies.append(Study.of([grid_of(experiment, dataset, features)], results))
    if not studies:
        raise ResultsError(f"no features of the experiment's data sets in {cache}", "Run: imbpipe compare")
    return studies
