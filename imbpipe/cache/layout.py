"""Where things lie.

<root>/<dataset>/<encoder>-<key12>/{SPEC.json, PLAN.json, part-RRRR.jnl, quarantine.jsonl, LOCK, features.h5,
text.safetensors}
"""

import contextlib
import hashlib
import itertools
import json
import re
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbpipe.cache import disk
from imbpipe.cache.spec import Spec, cache_option, canonical, check_spec, key_of
from imbpipe.errors import StoreError

KEY_CHARS = 12
PATIENCE = 60.0
CHUNK_ROWS = 256
"""Of a chunk of features.h5."""


def encode_text(text: str) -> bytes:
    """UTF-8; bytes of a file name that are none stay what they were."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(data: bytes) -> str:
    """The inverse of `encode_text`."""
    return data.decode("utf-8", "surrogateescape")


def utf8(text: str) -> str:
    """The same where it is text; bytes of a file name that are none become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def slug(name: str) -> str:
    """A folder name for `name`; two names never share one, whatever the file system."""
    safe = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip(".-")[:64]
    return safe if safe == name else f"{safe or 'x'}-{hashlib.sha256(encode_text(name)).hexdigest()[:8]}"


@dataclass(frozen=True)
class Folder:
    """The files of one (dataset, encoder, key)."""

    path: Path

    @classmethod
    def of(cls, root: Path, dataset: str, encoder: str, spec: Spec) -> "Folder":
        """Where the features of `dataset` by `encoder` under `spec` belong."""
        return cls(root / slug(dataset) / f"{slug(encoder)}-{key_of(spec)[:KEY_CHARS]}")

    @classmethod
    def known(cls, root: Path, dataset: str, encoder: str) -> list["Folder"]:
        """All that there are of `dataset` by `encoder`, in order of their keys."""
        pattern = f"{slug(encoder)}-{'[0-9a-f]' * KEY_CHARS}"
        return [cls(path) for path in sorted((root / slug(dataset)).glob(pattern)) if path.is_dir()]

    @property
    def root(self) -> Path:
        """Of the store."""
        return self.path.parent.parent

    @property
    def key(self) -> str:
        """The first characters of the key, as the folder is named."""
        return self.path.name[-KEY_CHARS:]

    @property
    def spec(self) -> Path:
        """The key document."""
        return self.path / "SPEC.json"

    @property
    def plan(self) -> Path:
        """What the folder has to hold."""
        return self.path / "PLAN.json"

    @property
    def features(self) -> Path:
        """The result."""
        return self.path / "features.h5"

    @property
    def text(self) -> Path:
        """The class names as the encoder's text tower sees them, where it has one."""
        return self.path / "text.safetensors"

    @property
    def quarantine(self) -> Path:
        """The images that could not be read, for people."""
        return self.path / "quarantine.jsonl"

    @property
    def repair_command(self) -> str:
        """The remedy for damage in this folder."""
        return f"Run: imbpipe cache repair --key {self.key}{cache_option(self.root)}"

    def part(self, worker: int) -> Path:
        """The journal that worker number `worker` appends to."""
        return self.path / f"part-{worker:04d}.jnl"

    def parts(self, worker: int) -> list[Path]:
        """Its journals: more than one where worker number `worker` was begun anew beside a lock."""
        own = self.part(worker)
        return [path for path in self.journals() if path == own or path.name.startswith(f"{own.stem}-")]

    def unused_part(self, worker: int) -> Path:
        """Another journal for worker number `worker`, where one that was given up holds its own."""
        return self.path / f"part-{worker:04d}-{uuid.uuid4().hex[:8]}.jnl"

    def journals(self) -> list[Path]:
        """All journals, those set aside for salvage among them."""
        return sorted(self.path.glob("*.jnl"))

    def unused_salvage(self) -> Path:
        """A name for a journal of rows rescued from a damaged file."""
        taken = {path.name for path in self.journals()}
        numbers = (number for number in itertools.count() if f"salvage-{number:04d}.jnl" not in taken)
        return self.path / f"salvage-{next(numbers):04d}.jnl"

    def temporaries(self) -> list[Path]:
        """What a killed process left half written."""
        return sorted(self.path.glob("*.tmp-*"))

    def locked(self, patience: float = PATIENCE) -> AbstractContextManager[None]:
        """Hold LOCK: one at a time opens journals, packs, repairs, removes.

        patience: seconds to wait for another holder. Raises StoreError: it waited in vain.
        """
        return disk.locked(self.path / "LOCK", patience)

    def read_spec(self) -> dict[str, Any]:
        """The spec, checked against the folder's key. Raises StoreError: missing or damaged."""
        with contextlib.suppress(OSError, ValueError):
            spec = json.loads(self.spec.read_bytes())
            if self.fits(spec):
                return spec
        raise StoreError(f"{self.spec} is missing or damaged", self.repair_command)

    def fits(self, spec: Any) -> bool:
        """Whether `spec` is what the folder's key stands for."""
        return isinstance(spec, dict) and key_of(spec).startswith(self.key)

    def owns(self, dataset: str, encoder: str, spec: Spec) -> bool:
        """Whether features of that name and spec belong into this folder."""
        return self == Folder.of(self.root, dataset, encoder, spec)

    def write_spec(self, spec: Spec) -> None:
        """Store the key document unless it is there."""
        check_spec(spec)
        data = canonical(spec)
        if not self.spec.exists() or self.spec.read_bytes() != data:
            disk.replace_whole(self.spec, data)


def damaged(path: Path, what: str) -> StoreError:
    """The error for a file whose bytes changed."""
    return StoreError(f"{path} is damaged: {what}", Folder(path.parent).repair_command)
