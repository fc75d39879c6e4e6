"""The feature store: what the rest of the program calls."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from imbpipe.cache.entries import Entry, list_entries, read_entry
from imbpipe.cache.freshness import check_fresh
from imbpipe.cache.layout import KEY_CHARS, Folder
from imbpipe.cache.memory import room_for_features
from imbpipe.cache.opening import open_writer
from imbpipe.cache.pack import pack_in_child
from imbpipe.cache.plan import BATCH_SIZE
from imbpipe.cache.refresh import look, refresh
from imbpipe.cache.spec import (
    Spec,
    check_spec,
    describe_differences,
    extract_command,
    key_of,
    telling_apart,
)
from imbpipe.cache.text import TextFeatures, read_text, write_text
from imbpipe.cache.worker import Worker
from imbpipe.cache.writer import Writer
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError
from imbpipe.types import Features, FeatureSet


class FeatureStore:
    """Features of any number of data sets by any number of encoders, under the folder `root`.

    dataset: a Dataset, or where nothing is written its name. encoder: the encoder's name.
    spec: everything that changes a number, with `dim` and the `dtype` of stored rows (float32, float16).
    memory: bytes that the features of a set may take, for `open`; None: half of what is available then.
    """

    def __init__(self, root: Path | str, *, memory: int | None = None) -> None:
        self.root = Path(root)
        self.memory = memory

    def writer(
        self,
        dataset: Dataset,
        encoder: str,
        spec: Spec,
        *,
        batch_size: int = BATCH_SIZE,
        worker: int = 0,
        workers: int = 1,
        rehash: bool = False,
    ) -> Writer:
        """A sink for worker number `worker` of `workers`; its `pending` is what is left to encode.

        batch_size: the same on every call, or a resumed run may differ in last bits from an unbroken one.
        rehash: read every image again instead of trusting its size and mtime.
        Raises StoreError: another process writes this part, the disk is full.
        """
        at = Worker(worker, workers)
        return open_writer(self.root, dataset, encoder, spec, at, batch_size=batch_size, rehash=rehash)

    def pack(self, dataset: Dataset, encoder: str, spec: Spec) -> None:
        """Publish features.h5 for `dataset` as it is now, labels included; nothing happens if it is current.

        Raises StoreError: images are not encoded yet, the disk is full, the packing process was killed.
        """
        check_spec(spec)
        folder = Folder.of(self.root, dataset.name, encoder, spec)
        if not folder.path.is_dir():
            raise self._none(dataset.name, encoder, spec)
        plan = look(dataset, encoder)
        with folder.locked():
            stock = refresh(folder, plan, spec)
            current = bool(stock.plan.published) and not folder.journals()
        if not current:
            pack_in_child(folder)

    def text(self, dataset: str, encoder: str, spec: Spec) -> TextFeatures | None:
        """What is stored of the class names, verified; None where nothing is. Raises StoreError: damaged."""
        return read_text(Folder.of(self.root, dataset, encoder, spec))

    def write_text(self, dataset: str, encoder: str, spec: Spec, text: TextFeatures) -> None:
        """Store `text` beside the features. Raises StoreError: a value is not finite, the disk is full."""
        write_text(Folder.of(self.root, dataset, encoder, spec), text)

    def load(
        self, dataset: str, encoder: str, *, spec: Spec | None = None, key: str | None = None
    ) -> FeatureSet:
        """The features of the data set by the encoder, every row verified.

        spec: accept these and no others. key: the first characters of the key, where the encoder's name
        stands for several specs (random and trained weights); without either there must be exactly one.
        Raises StoreError: none, several, incomplete, damaged, or made under another spec (naming the field).
        """
        from imbpipe.cache.reader import read_features

        return self._read(read_features, dataset, encoder, spec, key)

    def open(
        self, dataset: str, encoder: str, *, spec: Spec | None = None, key: str | None = None
    ) -> FeatureSet:
        """As `load`, by the same dataset, encoder, spec and key; but features that take more than `memory`
        stay in the file, as `StoredFeatures`.
        """
        from imbpipe.cache.reader import read_or_open

        memory = room_for_features() if self.memory is None else self.memory
        return self._read(partial(read_or_open, memory=memory), dataset, encoder, spec, key)

    def _read(
        self,
        read: Callable[[Path], FeatureSet],
        dataset: str,
        encoder: str,
        spec: Spec | None,
        key: str | None,
    ) -> FeatureSet:
        folder = self._find(dataset, encoder, spec, key)
        there = folder.features.exists()
        if not there or folder.journals():
            entry = read_entry(folder.path)
            if not entry.complete:
                fact = f"features of {dataset!r} by {encoder!r} are not complete: {entry.state}"
                mend = there and entry.problem
                command = extract_command(self.root, dataset, encoder, entry.spec)
                raise StoreError(fact, folder.repair_command if mend else command)
        features = read(folder.features)
        _check_owner(features, folder, dataset, encoder)
        return replace(features, text=_text_of(folder, features))

    def entries(self) -> list[Entry]:
        """What there is, in order of data set, encoder and key."""
        return list_entries(self.root)

    def check_fresh(self, dataset: Dataset, features: FeatureSet) -> None:
        """Raises StoreError: images or labels of `dataset` are not those that `features` were made of."""
        check_fresh(self.root, dataset, features)

    def _find(self, dataset: str, encoder: str, spec: Spec | None, key: str | None) -> Folder:
        known = Folder.known(self.root, dataset, encoder)
        wanted = key_of(spec) if spec is not None else (key or "")
        fitting = [folder for folder in known if folder.key.startswith(wanted[:KEY_CHARS])]
        if len(fitting) > 1:
            entries = [read_entry(folder.path) for folder in fitting]
            complete = [entry for entry in entries if entry.complete]
            if len(complete) != 1:
                raise _several(dataset, encoder, complete or entries)
            return Folder(complete[0].path)
        if fitting:
            return fitting[0]
        if known and spec is not None:
            differences = describe_differences(known[-1].read_spec(), spec)
            raise StoreError(
                f"features of {dataset!r} by {encoder!r} were made with other {differences}",
                extract_command(self.root, dataset, encoder, spec),
            )
        raise self._none(dataset, encoder, spec)

    def _none(self, dataset: str, encoder: str, spec: Spec | None) -> StoreError:
        return StoreError(
            f"no features of {dataset!r} by {encoder!r} in {self.root}",
            extract_command(self.root, dataset, encoder, spec),
        )


def _several(dataset: str, encoder: str, entries: list[Entry]) -> StoreError:
    said = ("weights", "weights_sha256", "dtype")
    rest = telling_apart([{k: v for k, v in entry.spec.items() if k not in said} for entry in entries])
    facts = [
        ", ".join(filter(None, (f"{entry.weights} weights", entry.dtype, more)))
        for entry, more in zip(entries, rest, strict=True)
    ]
    sets = [f"{entry.key[:KEY_CHARS]} ({fact})" for entry, fact in zip(entries, facts, strict=True)]
    return StoreError(
        f"{len(entries)} sets of features of {dataset!r} by {encoder!r}: {', '.join(sets)}",
        "Say which with --key, or remove one (imbpipe cache list shows them)",
    )


def _text_of(folder: Folder, features: FeatureSet) -> Features | None:
    """The classes as captions; None where there are none, or those of other class names."""
    text = read_text(folder)
    return text.classifier() if text is not None and text.class_names == features.class_names else None


def _check_owner(features: FeatureSet, folder: Folder, dataset: str, encoder: str) -> None:
    if (features.dataset, features.encoder) != (dataset, encoder) or not folder.fits(features.spec):
        raise StoreError(
            f"{folder.features} holds features of {features.dataset!r} by {features.encoder!r} "
            f"with key {key_of(features.spec)[:KEY_CHARS]}, not those its folder is named after",
            folder.repair_command,
        )
