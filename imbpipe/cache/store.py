"""The feature store: what the rest of the program calls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imbpipe.cache.entries import Entry, list_entries
from imbpipe.cache.freshness import check_fresh
from imbpipe.cache.layout import Folder, check_spec, describe_differences, extract_command, key_of
from imbpipe.cache.opening import open_writer, refresh
from imbpipe.cache.pack import pack_in_child
from imbpipe.cache.writer import Worker, Writer
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError
from imbpipe.types import FeatureSet


class FeatureStore:
    """Features of any number of data sets by any number of encoders under the folder `root`."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def writer(
        self,
        dataset: Dataset,
        encoder: str,
        spec: Mapping[str, Any],
        *,
        batch_size: int = 64,
        worker: int = 0,
        workers: int = 1,
        rehash: bool = False,
    ) -> Writer:
        """A sink for worker number `worker` of `workers`; its `pending` is what is left to encode.

        spec: everything that changes a number; `dtype` (float32, float16) is how rows of `dim` are stored.
        batch_size: the same on every call, or a resumed run may differ in last bits from an unbroken one.
        rehash: read every image again instead of trusting its size and mtime.
        Raises StoreError: another process writes this part, the disk is full.
        """
        return open_writer(
            self.root, dataset, encoder, spec, Worker(worker, workers), batch_size=batch_size, rehash=rehash
        )

    def pack(self, dataset: Dataset, encoder: str, spec: Mapping[str, Any]) -> None:
        """Publish features.h5 for `dataset` as it is now, labels included; nothing happens if it is current.

        Raises StoreError: images are not encoded yet, the disk is full.
        """
        check_spec(spec)
        folder = Folder.of(self.root, dataset.name, encoder, spec)
        if not folder.path.is_dir():
            raise StoreError(
                f"no features of {dataset.name!r} by {encoder!r} in {self.root}",
                extract_command(dataset.name, encoder, spec),
            )
        with folder.locked():
            refresh(folder, dataset, encoder, spec)
        pack_in_child(folder)

    def load(
        self, dataset: str, encoder: str, *, spec: Mapping[str, Any] | None = None, key: str | None = None
    ) -> FeatureSet:
        """The features of the data set by the encoder, every row verified.

        spec: accept these and no others. key: the first characters of the key, where the encoder's name
        stands for several specs (random and pretrained weights); without either there must be exactly one.
        Raises StoreError: none, several, incomplete, damaged, or made under another spec (naming the field).
        """
        from imbpipe.cache.reader import read_features

        entry = self.find(dataset, encoder, spec=spec, key=key)
        if not entry.complete:
            raise StoreError(
                f"features of {dataset!r} by {encoder!r} are incomplete: {entry.state}",
                extract_command(dataset, encoder, entry.spec),
            )
        features = read_features(Folder(entry.path).features)
        _check_owner(features, entry)
        return features

    def find(
        self, dataset: str, encoder: str, *, spec: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Entry:
        """The one entry that `load` would read. Raises StoreError: none, or several."""
        found = [entry for entry in self.entries() if (entry.dataset, entry.encoder) == (dataset, encoder)]
        wanted = key_of(spec) if spec is not None else (key or "")
        fitting = [entry for entry in found if entry.key.startswith(wanted)]
        if len(fitting) > 1:
            finished = [entry for entry in fitting if entry.complete]
            fitting = finished if len(finished) == 1 else fitting
        if len(fitting) == 1:
            return fitting[0]
        raise self._not_one(dataset, encoder, found, fitting, spec)

    def entries(self) -> list[Entry]:
        """What there is, in order of data set, encoder and key."""
        return list_entries(self.root)

    def check_fresh(self, dataset: Dataset, features: FeatureSet) -> None:
        """Raises StoreError: images or labels of `dataset` are not those that `features` were made of."""
        check_fresh(self.root, dataset, features)

    def _not_one(
        self,
        dataset: str,
        encoder: str,
        found: list[Entry],
        fitting: list[Entry],
        spec: Mapping[str, Any] | None,
    ) -> StoreError:
        remedy = extract_command(dataset, encoder, spec)
        if fitting:
            keys = ", ".join(
                f"{entry.key[:12]} ({entry.weights} weights, {entry.dtype}, {entry.state})"
                for entry in fitting
            )
            return StoreError(
                f"{len(fitting)} sets of features of {dataset!r} by {encoder!r} in {self.root}: {keys}",
                "Name one with --key",
            )
        if found and spec is not None:
            differences = describe_differences(found[-1].spec, spec)
            return StoreError(
                f"features of {dataset!r} by {encoder!r} were made with other {differences}", remedy
            )
        return StoreError(f"no features of {dataset!r} by {encoder!r} in {self.root}", remedy)


def _check_owner(features: FeatureSet, entry: Entry) -> None:
    path = Folder(entry.path).features
    remedy = extract_command(entry.dataset, entry.encoder, entry.spec)
    if (features.dataset, features.encoder) != (entry.dataset, entry.encoder):
        raise StoreError(f"{path} holds features of {features.dataset!r} by {features.encoder!r}", remedy)
    if key_of(features.spec) != entry.key:
        differences = describe_differences(features.spec, entry.spec)
        raise StoreError(f"{path} was made with other {differences}", remedy)
