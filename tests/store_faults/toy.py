"""A data set and an encoder so small that a thousand extractions take a minute."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbpipe.cache import disk
from imbpipe.cache.layout import Folder
from imbpipe.cache.pack import pack
from imbpipe.cache.refresh import look, refresh
from imbpipe.cache.store import FeatureStore
from imbpipe.cache.writer import Writer
from imbpipe.datasets.dataset import Dataset
from imbpipe.extract.sink import Batch
from imbpipe.types import FeatureSet

ENCODER = "toy"
CLASSES = ("rare", "common")


def spec_of(
    dim: int = 8, dtype: str = "float32", weights: str = "pretrained", **fields: Any
) -> dict[str, Any]:
    """What the toy encoder says of itself."""
    return {"encoder": {"architecture": "toy", **fields}, "weights": weights, "dim": dim, "dtype": dtype}


def draw(folder: Path, n: int) -> Dataset:
    """n files with different bytes, and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = tuple(f"image{row:04d}" for row in range(n))
    images = tuple(folder / f"{name}.jpg" for name in ids)
    for name, path in zip(ids, images, strict=True):
        path.write_bytes(f"the bytes of {name}".encode())
    labels = np.stack([np.arange(n) % 5 == 0, np.arange(n) % 5 != 0], axis=1)
    return Dataset("toys", ids, images, labels, CLASSES, "multi-label")


def without_syncing(patch: pytest.MonkeyPatch) -> None:
    """Save time where no power is cut."""
    patch.setattr(os, "fsync", lambda fd: None)
    patch.setattr(disk, "sync_data", lambda fd: None)


def rows_of(dataset: Dataset, rows: Sequence[int]) -> Dataset:
    """Some of the images, in the order of `rows`."""
    ids, images = zip(*((dataset.ids[row], dataset.images[row]) for row in rows), strict=True)
    return replace(dataset, ids=ids, images=images, labels=dataset.labels[list(rows)])


def encode(data: bytes, place: int, spec: Mapping[str, Any]) -> np.ndarray:
    """(dim,) that depends on the bytes and, as a network's last bits do, on the place in the batch.

    With `placeless` in the spec's encoder it depends on the bytes alone.
    """
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
    seeds = [seed] if spec["encoder"].get("placeless") else [seed, place]
    return np.random.default_rng(seeds).standard_normal(spec["dim"]).astype(np.float32)


def encode_batch(sink: Writer, batch: Batch, spec: Mapping[str, Any]) -> list[int]:
    """Encode the wanted rows of a batch, and quarantine files that begin with "broken"; the rows done."""
    places = [place for place, wanted in enumerate(batch.wanted) if wanted]
    data = {place: batch.paths[place].read_bytes() for place in places}
    broken = [place for place in places if data[place].startswith(b"broken")]
    sound = [place for place in places if place not in broken]
    for place in broken:
        sink.quarantine(batch.rows[place], "broken on purpose", hashlib.sha256(data[place]).digest())
    if sound:
        digests = [np.frombuffer(hashlib.sha256(data[place]).digest(), np.uint8) for place in sound]
        features = [encode(data[place], place, spec) for place in sound]
        sink.write(np.array([batch.rows[place] for place in sound]), np.stack(digests), np.stack(features))
    return [batch.rows[place] for place in (*broken, *sound)]


def extract(
    root: Path,
    dataset: Dataset,
    spec: Mapping[str, Any],
    *,
    encoder: str = ENCODER,
    pause: float = 0.0,
    commit_every: int = 0,
    seen: Callable[[Writer, list[int]], None] = lambda sink, rows: None,
    **options: Any,
) -> list[int]:
    """What the real loop does: encode everything pending; the rows that were encoded.

    seen: called after each batch with the sink and the rows handed over so far.
    """
    rows: list[int] = []
    with FeatureStore(root).writer(dataset, encoder, spec, **{"batch_size": 8, **options}) as sink:
        for count, batch in enumerate(sink.pending, start=1):
            time.sleep(pause)
            rows += encode_batch(sink, batch, spec)
            if commit_every and count % commit_every == 0:
                sink.commit()
            seen(sink, rows)
    return rows


def pack_here(root: Path, dataset: Dataset, spec: Mapping[str, Any], encoder: str = ENCODER) -> Path:
    """Pack in this process, as the packing child does; the path of features.h5."""
    folder = Folder.of(root, dataset.name, encoder, spec)
    with folder.locked():
        refresh(folder, look(dataset, encoder), spec)
    pack(folder)
    return folder.features


def unbroken(root: Path, dataset: Dataset, spec: Mapping[str, Any]) -> bytes:
    """features.h5 as a run without any fault makes it."""
    extract(root, dataset, spec)
    return pack_here(root, dataset, spec).read_bytes()


def all_features(dataset: Dataset, spec: Mapping[str, Any], batch_size: int = 8) -> np.ndarray:
    """(n, dim) what a right store holds."""
    rows = [encode(path.read_bytes(), row % batch_size, spec) for row, path in enumerate(dataset.images)]
    return np.stack(rows)


@dataclass
class Shelf:
    """A store with one data set by one encoder."""

    root: Path
    dataset: Dataset
    spec: dict[str, Any]
    encoder: str = ENCODER

    @property
    def store(self) -> FeatureStore:
        """The store."""
        return FeatureStore(self.root)

    @property
    def folder(self) -> Folder:
        """Where its features lie."""
        return Folder.of(self.root, self.dataset.name, self.encoder, self.spec)

    def extract(self, **options: Any) -> list[str]:
        """Encode what is pending; the ids that were encoded."""
        rows = extract(self.root, self.dataset, self.spec, encoder=self.encoder, **options)
        return [self.dataset.ids[row] for row in rows]

    def pack(self) -> Path:
        """Pack in this process; the path of features.h5."""
        return pack_here(self.root, self.dataset, self.spec, self.encoder)

    def fill(self) -> list[str]:
        """Encode and pack; the ids that were encoded."""
        encoded = self.extract()
        self.pack()
        return encoded

    def load(self, **options: Any) -> FeatureSet:
        """Read it back."""
        return self.store.load(self.dataset.name, self.encoder, **options)


def shelf(folder: Path, n: int = 40, **spec: Any) -> Shelf:
    """An empty store and a data set of n images."""
    return Shelf(folder / "cache", draw(folder / "images", n), spec_of(**spec))
