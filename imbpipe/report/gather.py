"""The finished studies of an experiment."""

from pathlib import Path

from imbpipe.cache.store import FeatureStore
from imbpipe.errors import ResultsError
from imbpipe.experiments.choose import Say, choose_dataset, choose_features
from imbpipe.experiments.claims.paper import CLAIMS
from imbpipe.experiments.claims.run import Placed, put, settings_for
from imbpipe.experiments.experiment import Experiment
from imbpipe.experiments.pool import pool_of
from imbpipe.experiments.results import ResultStore
from imbpipe.report.study import Study


def studies_of(
    experiment: Experiment, cache: Path, root: Path | None, *, say: Say
) -> tuple[list[Study], list[Placed]]:
    """One a (data set, encoder) whose features are there, and the claims by a protocol of the paper's.

    Raises ResultsError: a run is not finished, or there are no features at all.
    """
    store, results = FeatureStore(cache), ResultStore(cache)
    studies: list[Study] = []
    placed: list[Placed] = []
    for names in experiment.datasets:
        dataset = choose_dataset(names, root, experiment.read_options(), say=say)
        for alternatives in experiment.encoders:
            features = choose_features(alternatives, dataset, store)
            if features is not None:
                pool = pool_of(experiment, dataset, features)
                studies.append(Study.of(pool, results, metric=experiment.metric, margin=experiment.margin))
                if experiment.title:  # a protocol of the paper's
                    asked = settings_for(CLAIMS, experiment, dataset.name)
                    whole = pool_of(experiment, dataset, features, asked)
                    placed += put(CLAIMS, experiment, whole, results)
    if not studies:
        raise ResultsError(f"no features of the experiment's data sets in {cache}", "Run: imbpipe compare")
    return studies, placed
