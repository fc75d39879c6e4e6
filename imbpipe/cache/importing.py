"""Take features that another program made into the store, under a name of their own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imbpipe.cache.joining import join
from imbpipe.cache.sources import Source
from imbpipe.cache.spec import IMPORTED, IMPORTED_PREFIX
from imbpipe.cache.stamp import DIGEST_BYTES, digest_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError
from imbpipe.types import Progress

if TYPE_CHECKING:
    from imbpipe.cache.store import FeatureStore


@dataclass(frozen=True)
class Imported:
    """encoder: the name in the store. rows: images with features. missing: without, set aside.

    unused: rows of the source that belong to no image of the data set. joined_by: one of WAYS.
    """

    encoder: str
    rows: int
    missing: int
    unused: int
    joined_by: str
    spec: dict[str, Any]


def import_features(
    store: "FeatureStore",
    dataset: Dataset,
    source: Source,
    name: str,
    *,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Store the source's rows as features of `dataset` by the encoder "imported:NAME".

    They are kept in float16 where the source is, else in float32. What the images are now is recorded, so
    that one that changes later is told; one that is not on this machine is taken as it is.
    allow_missing: set images without a row aside.
    Raises StoreError: see `join`; images without a row (count and first), a value that is not finite.
    """
    rows, way = join(dataset, source.names, str(source.path))
    missing = np.flatnonzero(rows < 0)
    if len(missing) and not allow_missing:
        raise StoreError(
            f"{len(missing):,} of {len(dataset):,} images of {dataset.name!r} have no row in {source.path} "
            f"(first {dataset.ids[missing[0]]!r})",
            "Make them, or pass --allow-missing to leave such images out",
        )
    encoder = imported_name(name)
    spec = _spec(source, encoder)
    done = 0
    with store.writer(dataset, encoder, spec) as sink:
        for batch in sink.pending:
            wanted = np.array(batch.rows)[np.array(batch.wanted)]
            for row in wanted[rows[wanted] < 0].tolist():
                sink.quarantine(row, f"no row in {source.path}", b"")
            there = wanted[rows[wanted] >= 0]
            if len(there):
                sink.write(there, _digests(dataset, there.tolist()), source.rows(rows[there]))
            done += len(wanted)
            if progress is not None:
                progress(done, len(dataset))
    store.pack(dataset, encoder, spec)
    found = len(dataset) - len(missing)
    return Imported(encoder, found, len(missing), len(source) - found, way, spec)


def imported_name(name: str) -> str:
    """The encoder's name in the store; never one of an encoder of ours. Raises StoreError: an empty name."""
    own = name.removeprefix(IMPORTED_PREFIX).strip()
    if not own:
        raise StoreError("imported features need a name", "Pass --encoder NAME, as in --encoder my-clip")
    return f"{IMPORTED_PREFIX}{own}"


def _spec(source: Source, encoder: str) -> dict[str, Any]:
    """What is known of features that were made elsewhere: their values, and so their key."""
    return {
        "encoder": {"library": IMPORTED, "name": encoder, "layout": source.layout},
        "weights": IMPORTED,
        "source_sha256": source.sha256,
        "source_dtype": source.dtype,
        "normalised": source.normalised,
        "dtype": "float16" if source.dtype == "float16" else "float32",
        "dim": source.dim,
    }


def _digests(dataset: Dataset, rows: list[int]) -> np.ndarray:
    """(b, 32): the beginning of each image's SHA-256, zeros where it is not on this machine."""
    digests = np.zeros((len(rows), 2 * DIGEST_BYTES), np.uint8)
    for place, row in enumerate(rows):
        digest = digest_of(dataset.images[row])
        if digest is not None:
            digests[place, :DIGEST_BYTES] = np.frombuffer(digest, np.uint8)
    return digests
