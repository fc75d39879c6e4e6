"""Of several names, the first that is at hand; every other is told why not."""

from collections.abc import Callable, Sequence
from pathlib import Path

from imbpipe.cache.spec import IMPORTED_PREFIX
from imbpipe.cache.store import Entry, FeatureStore
from imbpipe.cache.stored import StoredFeatures
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.encoders.encoder import Encoder
from imbpipe.errors import DatasetError, ResultsError, WeightsError, as_size
from imbpipe.types import FeatureSet

Say = Callable[[str], None]


def choose_dataset(
    alternatives: Sequence[str], root: Path | None, options: ReadOptions, *, say: Say
) -> Dataset:
    """The first data set that can be read. Raises DatasetError: the last one cannot either."""
    for name in alternatives[:-1]:
        try:
            return load_dataset(name, root=root, options=options)
        except DatasetError as error:
            say(f"Going on without {name}: {error.fact}.")
    return load_dataset(alternatives[-1], root=root, options=options)


def choose_encoder(alternatives: Sequence[str], *, device: str, say: Say) -> Encoder | None:
    """The first encoder whose weights can be had; None where none can, as of imported features."""
    from imbpipe.encoders.load import load_encoder

    for name in alternatives:
        if name.startswith(IMPORTED_PREFIX):
            continue
        try:
            return load_encoder(name, device=device)
        except WeightsError as error:
            say(f"Going on without {name}: {error.fact}.")
    return None


def choose_features(alternatives: Sequence[str], dataset: Dataset, store: FeatureStore) -> FeatureSet | None:
    """The features of the first encoder that encoded the whole data set; None where none did.

    Features by random weights stand in for nothing and are passed over.
    """
    for name in alternatives:
        for entry in _complete(dataset, store):
            if entry.encoder == name and entry.weights != "random":
                return store.open(dataset.name, name, key=entry.key)
    return None


def features_of(dataset: Dataset, encoder: str | None, key: str | None, store: FeatureStore) -> FeatureSet:
    """The features by `encoder`, or where none is named by the one that encoded the data set.

    With several encoders, `clip` goes before `resnet18` before others by name. key: which of several sets
    of features by one encoder.
    Raises StoreError, ResultsError: there are none, with the command that makes them.
    """
    if encoder is not None:
        return store.open(dataset.name, encoder, key=key)
    known = {entry.encoder for entry in _complete(dataset, store)}
    if not known:
        raise ResultsError(
            f"no features of {dataset.name!r} in {store.root}",
            f"Run: imbpipe extract --dataset {dataset.name}",
        )
    chosen = min(known, key=lambda name: (name != "clip", name != "resnet18", name))
    return store.open(dataset.name, chosen, key=key)


def tell_streamed(features: FeatureSet, say: Say) -> None:
    """Say it where the features are larger than memory and stay in their file."""
    stored = features.features
    if isinstance(stored, StoredFeatures):
        say(
            f"{features.dataset} by {features.encoder}: {as_size(stored.nbytes)} of features, and "
            f"{as_size(stored.memory)} of memory for them: they are read from their file while heads train."
        )


def _complete(dataset: Dataset, store: FeatureStore) -> list[Entry]:
    return [entry for entry in store.entries() if entry.dataset == dataset.name and entry.complete]
