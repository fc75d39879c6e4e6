"""An experiment's data sets and encoders, as far as they can be had, encoded."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from imbpipe.cache.fill import fill
from imbpipe.cache.spec import IMPORTED, weights_kind
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.encoders.encoder import Encoder
from imbpipe.errors import ResultsError
from imbpipe.experiments.choose import Say, choose_dataset, choose_encoder, choose_features, tell_streamed
from imbpipe.experiments.experiment import Alternatives, Experiment
from imbpipe.types import FeatureSet, Progress

Bar = Callable[[str, str], AbstractContextManager[Progress]]
"""(what, unit) -> a progress bar."""


@dataclass(frozen=True)
class Surroundings:
    """Where an experiment runs, and who is told.

    root: of named data sets. device: auto, cpu or cuda. cached: take features that are there and encode
    nothing, so that images need not be at hand.
    """

    store: FeatureStore
    root: Path | None
    device: str
    cached: bool
    say: Say
    bar: Bar


def places(experiment: Experiment, around: Surroundings) -> Iterator[tuple[Dataset, FeatureSet]]:
    """Each data set with the features by each encoder; what is not encoded yet is encoded first.

    Where the experiment lists several names in the place of one, the first that is at hand is taken.
    Raises ResultsError: none of the encoders can be had, nor features by any of them.
    """
    encoders = {} if around.cached else _encoders(experiment, around)
    found = False
    for names in experiment.datasets:
        data = _dataset(experiment, names, around)
        for alternatives in experiment.encoders:
            if encoder := encoders.get(alternatives):
                _encode(data, encoder, around)
            features = choose_features(alternatives, data, around.store)
            if features is not None:
                if around.cached or weights_kind(features.spec) == IMPORTED:
                    around.store.check_fresh(data, features)
                tell_streamed(features, around.say)
                found = True
                yield data, features
    if not found and around.cached:
        raise ResultsError(
            f"{around.store.root} holds no features that the experiment names", "Leave out --cached"
        )
    if not found:
        raise ResultsError("none of the experiment's encoders can be had", "See: imbpipe extract --help")


def _encoders(experiment: Experiment, around: Surroundings) -> dict[Alternatives, Encoder | None]:
    return {
        names: choose_encoder(names, device=around.device, say=around.say) for names in experiment.encoders
    }


def _dataset(experiment: Experiment, names: Alternatives, around: Surroundings) -> Dataset:
    with around.bar("drawing", "images") as progress:
        options = experiment.read_options(progress=progress, images_needed=not around.cached)
        return choose_dataset(names, around.root, options, say=around.say)


def _encode(data: Dataset, encoder: Encoder, around: Surroundings) -> None:
    with around.bar(f"{data.name} by {encoder.name}", "images") as progress:
        summary = fill(around.store, data, encoder, progress=progress)
    for path, reason in summary.quarantined:
        around.say(f"Set aside: {path}: {reason}")
