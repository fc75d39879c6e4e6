"""PLAN.json: what a folder has to hold, and what is known of each image."""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.layout import encode_text
from imbpipe.cache.sealed import seal, unseal, write_sealed
from imbpipe.cache.stamp import DIGEST_BYTES
from imbpipe.types import Labels, Task

FORMAT = 1
BATCH_SIZE = 64
Quarantined = Mapping[str, Mapping[str, str]]


@dataclass(eq=False)
class StorePlan:
    """n images in order, cut into fixed batches of `batch_size`.

    paths: of the images, as last seen. labels: (n, c). stamps: (n, 2) size and mtime in ns of each image
    when last looked at, NO_FILE where there was none.
    digests: (n, 16) what the image's bytes are known to be at that stamp, where `known` (n,) says so.
    packed: (n,) features.h5 holds the row of that id and digest.
    published: the digest of the features.h5 that holds exactly this, labels and all; empty if none does.
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
    published: str
    quarantined: Quarantined

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def place(self) -> dict[str, int]:
        """Row number of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def hashed_ids(self) -> list[bytes]:
        """Of each image, how journals name it."""
        return [hash_id(name) for name in self.ids]

    def only(self, rows: NDArray[np.int64]) -> "StorePlan":
        """A plan of some rows alone, without labels: all that whoever encodes them needs to know."""
        return replace(
            self,
            class_names=(),
            ids=tuple(self.ids[row] for row in rows),
            paths=tuple(self.paths[row] for row in rows),
            labels=np.zeros((len(rows), 0), dtype=bool),
            stamps=self.stamps[rows],
            digests=self.digests[rows],
            known=self.known[rows],
            packed=self.packed[rows],
            published="",
            quarantined={},
        )

    def to_json(self) -> bytes:
        """The file's bytes, sealed with their SHA-256."""
        return seal(
            {
                "format": lambda: FORMAT,
                "dataset": lambda: self.dataset,
                "encoder": lambda: self.encoder,
                "task": lambda: self.task,
                "class_names": lambda: self.class_names,
                "batch_size": lambda: self.batch_size,
                "ids": lambda: self.ids,
                "paths": lambda: self.paths,
                "labels": lambda: _positives(self.labels),
                "sizes": lambda: self.stamps[:, 0].tolist(),
                "mtimes_ns": lambda: self.stamps[:, 1].tolist(),
                "digests": lambda: _in_hex(self.digests, self.known),
                "packed": lambda: self.packed.astype(int).tolist(),
                "published": lambda: self.published,
                "quarantined": lambda: self.quarantined,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> "StorePlan":
        """Raises ValueError: not what `to_json` wrote."""
        found = {name: _READ[name](value) if name in _READ else value for name, value in unseal(data)}
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        rows, columns = found.pop("labels")
        labels = np.zeros((len(found["ids"]), len(found["class_names"])), dtype=bool)
        labels[rows, columns] = True
        digests, known = found.pop("digests")
        stamps = np.stack([found.pop("sizes"), found.pop("mtimes_ns")], axis=1)
        return cls(**found, labels=labels, stamps=stamps, digests=digests, known=known)


def hash_id(name: str) -> bytes:
    """The first 16 bytes of the SHA-256 of an id: how journals name rows."""
    return hashlib.sha256(encode_text(name)).digest()[:DIGEST_BYTES]


def _positives(labels: Labels) -> list[list[int]]:
    rows, columns = np.nonzero(labels)
    ends = np.searchsorted(rows, np.arange(1, len(labels) + 1)).tolist()
    flat = columns.tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _of_positives(positives: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of each."""
    counts = [len(columns) for columns in positives]
    flat = itertools.chain.from_iterable(positives)
    return np.repeat(np.arange(len(counts)), counts), np.fromiter(flat, np.int64, count=sum(counts))


def _in_hex(digests: NDArray[np.uint8], known: NDArray[np.bool_]) -> list[str | None]:
    text, width = digests.tobytes().hex(), 2 * DIGEST_BYTES
    return [text[row * width : (row + 1) * width] if is_known else None for row, is_known in enumerate(known)]


def _of_hex(texts: list[str | None]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Digests, zero where not known, and which are."""
    data = bytes.fromhex("".join(text or "00" * DIGEST_BYTES for text in texts))
    known = np.array([text is not None for text in texts], dtype=bool)
    return np.frombuffer(data, np.uint8).reshape(len(texts), DIGEST_BYTES), known


_READ: dict[str, Callable[[Any], Any]] = {
    "class_names": tuple,
    "ids": tuple,
    "paths": tuple,
    "labels": _of_positives,
    "sizes": lambda sizes: np.array(sizes, dtype=np.int64),
    "mtimes_ns": lambda times: np.array(times, dtype=np.int64),
    "digests": _of_hex,
    "packed": lambda packed: np.array(packed, dtype=bool),
}
"""Of fields that JSON holds otherwise, how they are read."""


def read_plan(path: Path) -> StorePlan | None:
    """The plan at `path`; None where there is none or it is damaged (it can be made again)."""
    try:
        return StorePlan.from_json(path.read_bytes())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_plan(path: Path, plan: StorePlan) -> None:
    """Replace the plan at `path` unless it says the same already."""
    write_sealed(path, plan.to_json())
