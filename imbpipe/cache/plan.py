"""PLAN.json: what a folder has to hold, and what is known of each image."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.layout import encode_text
from imbpipe.cache.spec import canonical
from imbpipe.cache.stamp import DIGEST_BYTES
from imbpipe.types import Labels, Task

FORMAT = 1
BATCH_SIZE = 64
Quarantined = Mapping[str, Mapping[str, str]]
_SEAL = b',"sha256":"'


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
        digests = self.digests.tobytes().hex()
        width = 2 * DIGEST_BYTES
        document = {
            "format": FORMAT,
            "dataset": self.dataset,
            "encoder": self.encoder,
            "task": self.task,
            "class_names": self.class_names,
            "batch_size": self.batch_size,
            "ids": self.ids,
            "paths": self.paths,
            "labels": _positives(self.labels),
            "sizes": self.stamps[:, 0].tolist(),
            "mtimes_ns": self.stamps[:, 1].tolist(),
            "digests": [
                digests[row * width : (row + 1) * width] if known else None
                for row, known in enumerate(self.known.tolist())
            ],
            "packed": self.packed.astype(int).tolist(),
            "published": self.published,
            "quarantined": self.quarantined,
        }
        body = canonical(document)
        return body[:-1] + _SEAL + hashlib.sha256(body).hexdigest().encode() + b'"}'

    @classmethod
    def from_json(cls, data: bytes) -> "StorePlan":
        """Raises ValueError: not what `to_json` wrote."""
        body, _, seal = data.rpartition(_SEAL)
        body += b"}"
        if seal != hashlib.sha256(body).hexdigest().encode() + b'"}':
            raise ValueError("the seal is broken")
        raw = json.loads(body)
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']}")
        n, c = len(raw["ids"]), len(raw["class_names"])
        labels = np.zeros((n, c), dtype=bool)
        counts = [len(positives) for positives in raw["labels"]]
        labels[np.repeat(np.arange(n), counts), [column for row in raw["labels"] for column in row]] = True
        digests = bytes.fromhex("".join(text or "00" * DIGEST_BYTES for text in raw["digests"]))
        return cls(
            dataset=raw["dataset"],
            encoder=raw["encoder"],
            task=raw["task"],
            class_names=tuple(raw["class_names"]),
            batch_size=raw["batch_size"],
            ids=tuple(raw["ids"]),
            paths=tuple(raw["paths"]),
            labels=labels,
            stamps=np.array([raw["sizes"], raw["mtimes_ns"]], dtype=np.int64).T.copy(),
            digests=np.frombuffer(digests, dtype=np.uint8).reshape(n, DIGEST_BYTES),
            known=np.array([text is not None for text in raw["digests"]], dtype=bool),
            packed=np.array(raw["packed"], dtype=bool),
            published=raw["published"],
            quarantined=raw["quarantined"],
        )


def hash_id(name: str) -> bytes:
    """The first 16 bytes of the SHA-256 of an id: how journals name rows."""
    return hashlib.sha256(encode_text(name)).digest()[:DIGEST_BYTES]


def _positives(labels: Labels) -> list[list[int]]:
    rows, columns = np.nonzero(labels)
    ends = np.searchsorted(rows, np.arange(1, len(labels) + 1)).tolist()
    flat = columns.tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]


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
