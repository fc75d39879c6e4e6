"""PLAN.json: what a folder has to hold, and what is known of each image."""

import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.journal import DIGEST_BYTES
from imbpipe.cache.layout import canonical, encode_text
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError
from imbpipe.types import Labels, Task

FORMAT = 1
BATCH_SIZE = 64
NO_FILE = (-1, -1)
_SEAL = b',"sha256":"'


@dataclass(frozen=True, eq=False)
class StorePlan:
    """n images in order, cut into fixed batches of `batch_size`.

    paths: of the images, as last seen. labels: (n, c). stamps: (n, 2) size and mtime in ns of each image
    when last looked at, NO_FILE where there was none.
    digests: (n, 16) what the image's bytes are known to be at that stamp, where `known` (n,) says so.
    packed: (n,) features.h5 holds the row of that id and digest.
    quarantined: id -> {"path", "reason", "sha256"} of images found unreadable at that stamp.
    """

    dataset: str
    encoder: str
    task: Task
    class_names: tuple[str, ...]
    batch_size: int
    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: Labels
    stamps: NDArray[np.int64]
    digests: NDArray[np.uint8]
    known: NDArray[np.bool_]
    packed: NDArray[np.bool_]
    quarantined: Mapping[str, dict[str, str]]

    def __len__(self) -> int:
        return len(self.ids)

    def hashed_ids(self) -> list[bytes]:
        """The first 16 bytes of the SHA-256 of each id: how journals name rows."""
        return [hashlib.sha256(encode_text(name)).digest()[:DIGEST_BYTES] for name in self.ids]

    def to_json(self) -> bytes:
        """The file's bytes, sealed with their SHA-256."""
        body = canonical(
            {
                "format": FORMAT,
                "dataset": self.dataset,
                "encoder": self.encoder,
                "task": self.task,
                "class_names": self.class_names,
                "batch_size": self.batch_size,
                "ids": self.ids,
                "paths": self.paths,
                "labels": [np.flatnonzero(row).tolist() for row in self.labels],
                "sizes": self.stamps[:, 0].tolist(),
                "mtimes_ns": self.stamps[:, 1].tolist(),
                "digests": [
                    row.tobytes().hex() if known else None
                    for row, known in zip(self.digests, self.known, strict=True)
                ],
                "packed": self.packed.astype(int).tolist(),
                "quarantined": self.quarantined,
            }
        )
        return body[:-1] + _SEAL + hashlib.sha256(body).hexdigest().encode() + b'"}'

    @classmethod
    def from_json(cls, data: bytes) -> "StorePlan":
        """Raises ValueError: not what `to_json` wrote."""
        body, seal, rest = data.rpartition(_SEAL)
        body += b"}"
        if not seal or rest != hashlib.sha256(body).hexdigest().encode() + b'"}':
            raise ValueError("the seal is broken")
        raw = json.loads(body)
        labels = np.zeros((len(raw["ids"]), len(raw["class_names"])), dtype=bool)
        for row, positives in zip(labels, raw["labels"], strict=True):
            row[positives] = True
        digests = b"".join(bytes.fromhex(text) if text else bytes(DIGEST_BYTES) for text in raw["digests"])
        return cls(
            dataset=raw["dataset"],
            encoder=raw["encoder"],
            task=raw["task"],
            class_names=tuple(raw["class_names"]),
            batch_size=raw["batch_size"],
            ids=tuple(raw["ids"]),
            paths=tuple(raw["paths"]),
            labels=labels,
            stamps=np.array([raw["sizes"], raw["mtimes_ns"]], dtype=np.int64).T.reshape(-1, 2),
            digests=np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES),
            known=np.array([text is not None for text in raw["digests"]], dtype=bool),
            packed=np.array(raw["packed"], dtype=bool),
            quarantined=raw["quarantined"],
        )


def read_plan(path: Path) -> StorePlan | None:
    """The plan at `path`; None where there is none or it is damaged (it can be made again)."""
    try:
        return StorePlan.from_json(path.read_bytes())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_plan(path: Path, plan: StorePlan) -> None:
    """Replace the plan at `path` unless it says the same already."""
    data = plan.to_json()
    if not path.exists() or path.read_bytes() != data:
        disk.replace_whole(path, data)


def stamp_of(path: str | Path) -> tuple[int, int]:
    """Size and mtime in nanoseconds; NO_FILE where there is no regular file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return NO_FILE
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else NO_FILE


def digest_of(path: str | Path) -> bytes | None:
    """The first 16 bytes of the SHA-256 of the file's bytes; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()[:DIGEST_BYTES]
    except OSError:
        return None


def make_plan(
    dataset: Dataset,
    encoder: str,
    batch_size: int,
    old: StorePlan | None,
    journalled: Mapping[bytes, Collection[tuple[int, int]]],
    *,
    rehash: bool = False,
) -> StorePlan:
    """The plan for `dataset` as its images are now.

    old: the plan so far. journalled: hash of an id -> the stamps of the rows that journals hold of it.
    An image with a stored row is read only where its stamp changed, or every one with `rehash`; one that
    is not there or cannot be read keeps what was known of it.
    """
    _check_names(dataset)
    n = len(dataset)
    places = {} if old is None else {name: place for place, name in enumerate(old.ids)}
    plan = StorePlan(
        dataset=dataset.name,
        encoder=encoder,
        task=dataset.task,
        class_names=tuple(dataset.class_names),
        batch_size=batch_size,
        ids=tuple(dataset.ids),
        paths=tuple(str(path) for path in dataset.images),
        labels=np.asarray(dataset.labels, dtype=bool),
        stamps=np.array([stamp_of(path) for path in dataset.images], dtype=np.int64).reshape(n, 2),
        digests=np.zeros((n, DIGEST_BYTES), dtype=np.uint8),
        known=np.zeros(n, dtype=bool),
        packed=np.zeros(n, dtype=bool),
        quarantined={},
    )
    quarantined: dict[str, dict[str, str]] = {}
    for row, (name, hashed) in enumerate(zip(plan.ids, plan.hashed_ids(), strict=True)):
        place = places.get(name)
        stamps = journalled.get(hashed, ())
        if _look(plan, row, old, place, stamps, rehash) and old is not None and name in old.quarantined:
            quarantined[name] = old.quarantined[name]
    return StorePlan(**{**vars(plan), "quarantined": quarantined})


def _look(
    plan: StorePlan,
    row: int,
    old: StorePlan | None,
    place: int | None,
    stamps: Collection[tuple[int, int]],
    rehash: bool,
) -> bool:
    """Fill in what is known of one image; whether it still is as `old` saw it."""
    stamp = (int(plan.stamps[row, 0]), int(plan.stamps[row, 1]))
    before = None if old is None or place is None else (int(old.stamps[place, 0]), int(old.stamps[place, 1]))
    has_row = bool(stamps) or (old is not None and place is not None and bool(old.packed[place]))
    unchanged = stamp == before
    must_read = has_row and stamp != NO_FILE and (rehash or not (unchanged or stamp in stamps))
    digest = digest_of(plan.paths[row]) if must_read else None
    if digest is not None:
        plan.digests[row] = np.frombuffer(digest, dtype=np.uint8)
        plan.known[row] = True
        if old is not None and place is not None:
            plan.packed[row] = old.packed[place] and bool((old.digests[place] == plan.digests[row]).all())
        return unchanged
    if old is None or place is None:
        return False
    if unchanged or stamp == NO_FILE or must_read:
        plan.stamps[row] = old.stamps[place]
        plan.digests[row], plan.known[row] = old.digests[place], old.known[place]
        plan.packed[row] = old.packed[place]
        return True
    return False


def _check_names(dataset: Dataset) -> None:
    for name in (dataset.name, *dataset.ids, *dataset.class_names):
        if "\0" in name or not name:
            raise StoreError(f"{name!r} cannot name an image, a class or a data set", "Rename it")


def plan_fields(plan: StorePlan, **changes: Any) -> StorePlan:
    """`plan` with some fields changed."""
    return StorePlan(**{**vars(plan), **changes})
