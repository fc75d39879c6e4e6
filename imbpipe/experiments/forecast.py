"""What an experiment would do, and how long that should take, without doing it."""

from collections.abc import Iterator
from dataclasses import dataclass

from imbpipe.cache.freshness import pending
from imbpipe.cache.rates import Rates, encoding, training
from imbpipe.datasets.dataset import Dataset
from imbpipe.experiments.choose import choose_dataset, choose_features
from imbpipe.experiments.experiment import Alternatives, Experiment
from imbpipe.experiments.places import Surroundings
from imbpipe.experiments.pool import pool_of
from imbpipe.experiments.results import ResultStore

TRAIN_SHARE = 0.6
"""Of the images, where no split is made yet."""


@dataclass(frozen=True)
class Forecast:
    """On one data set by one encoder: what is to be encoded and trained.

    encoders: alternatives, of which the first that can be had is taken.
    encode_seconds, train_seconds: by rates of earlier calls; None where nothing was measured yet.
    """

    dataset: str
    encoders: tuple[str, ...]
    images: int
    to_encode: int
    encode_seconds: float | None
    heads: int
    to_train: int
    train_seconds: float | None


def forecast(experiment: Experiment, around: Surroundings) -> Iterator[Forecast]:
    """One a (data set, encoder). Nothing is written, drawn or downloaded.

    Raises DatasetError: none of the alternatives can be read.
    """
    for names in experiment.datasets:
        options = experiment.read_options(images_needed=False)
        data = choose_dataset(names, around.root, options, say=around.say)
        for alternatives in experiment.encoders:
            yield _forecast(experiment, data, alternatives, around)


def encode_seconds(around: Surroundings, encoder: str, images: int) -> float | None:
    """How long that many images should take; None where that was never measured."""
    from imbpipe.encoders.frozen import resolve_device

    if not images:
        return 0.0
    return Rates(around.store.root).seconds(encoding(encoder, resolve_device(around.device)), images)


def _forecast(
    experiment: Experiment, data: Dataset, alternatives: Alternatives, around: Surroundings
) -> Forecast:
    here = experiment.on_dataset(data.name)
    heads = len(here.settings(data.name)) * here.seeds * here.splits
    units = heads * TRAIN_SHARE * len(data) * here.protocol.epochs
    missing, to_encode = heads, len(data)
    features = choose_features(alternatives, data, around.store)
    if features is not None:
        alternatives = (features.encoder,)
        to_encode = pending(around.store.root, data, features.encoder)
    if features is not None and not to_encode:
        store = ResultStore(around.store.root)
        lacking = [(grid, len(grid.missing(store))) for grid in pool_of(experiment, data, features).grids]
        missing = sum(count for _, count in lacking)
        units = sum(grid.units(count) for grid, count in lacking)
    kind = training(around.device, here.protocol.head.kind)
    return Forecast(
        data.name,
        alternatives,
        len(data),
        to_encode,
        encode_seconds(around, alternatives[0], to_encode),
        heads,
        missing,
        Rates(around.store.root).seconds(kind, units) if missing else 0.0,
    )
