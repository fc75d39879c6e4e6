"""Where things lie, and under which key.

<root>/<dataset>/<encoder>-<key12>/{SPEC.json, PLAN.json, part-RRRR.jnl, quarantine.jsonl, LOCK, features.h5}
"""

import contextlib
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbpipe.cache import disk
from imbpipe.errors import StoreError

DTYPES = {"float32": "<f4", "float16": "<f2"}
KEY_CHARS = 12


def canonical(document: object) -> bytes:
    """The one spelling of a JSON document: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def key_of(spec: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical spec, hexadecimal."""
    return hashlib.sha256(canonical(spec)).hexdigest()


def check_spec(spec: Mapping[str, Any]) -> None:
    """Raises StoreError: `dim` is no positive integer, `dtype` none that the store knows."""
    dim = spec.get("dim")
    if not isinstance(dim, int) or dim < 1:
        raise StoreError(f"a spec with dimension {dim!r}", "`dim` is a positive integer")
    if spec.get("dtype") not in DTYPES:
        raise StoreError(f"a spec with dtype {spec.get('dtype')!r}", f"Known: {', '.join(DTYPES)}")


def slug(name: str) -> str:
    """A folder name for `name`; two names never share one, whatever the file system."""
    safe = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip(".-")[:64]
    return safe if safe == name else f"{safe or 'x'}-{hashlib.sha256(encode_text(name)).hexdigest()[:8]}"


def encode_text(text: str) -> bytes:
    """UTF-8; bytes that were no UTF-8 in a file name stay what they were."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(data: bytes) -> str:
    """What `encode_text` encoded."""
    return data.decode("utf-8", "surrogateescape")


def extract_command(dataset: str, encoder: str, spec: Mapping[str, Any] | None = None) -> str:
    """The command that encodes what is missing."""
    kind = (spec or {}).get("weights")
    weights = {"random": " --weights random", "file": " --weights FILE"}.get(str(kind), "")
    dtype = " --dtype float16" if (spec or {}).get("dtype") == "float16" else ""
    names = f"--dataset {shlex.quote(dataset)} --encoder {shlex.quote(encoder)}"
    return f"Run: imbpipe extract {names}{weights}{dtype}"


def describe_differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The fields in which two specs differ, with both values: "preprocessing.size (224, now 336)"."""
    before, now = _flat(made), _flat(wanted)
    fields = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} ({before.get(name, 'unset')}, now {now.get(name, 'unset')})" for name in fields)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat.update(
            _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        )
    return flat


@dataclass(frozen=True)
class Folder:
    """The files of one (dataset, encoder, key)."""

    path: Path

    @classmethod
    def of(cls, root: Path, dataset: str, encoder: str, spec: Mapping[str, Any]) -> "Folder":
        """Where the features of `dataset` by `encoder` under `spec` belong."""
        return cls(root / slug(dataset) / f"{slug(encoder)}-{key_of(spec)[:KEY_CHARS]}")

    @property
    def spec(self) -> Path:
        return self.path / "SPEC.json"

    @property
    def plan(self) -> Path:
        return self.path / "PLAN.json"

    @property
    def features(self) -> Path:
        return self.path / "features.h5"

    @property
    def quarantine(self) -> Path:
        return self.path / "quarantine.jsonl"

    def part(self, worker: int) -> Path:
        """The journal that worker number `worker` appends to."""
        return self.path / f"part-{worker:04d}.jnl"

    def journals(self) -> list[Path]:
        """All journals, those set aside for salvage among them."""
        return sorted(self.path.glob("*.jnl"))

    def temporaries(self) -> list[Path]:
        """What a killed process left half written."""
        return sorted(self.path.glob("*.tmp-*"))

    def locked(self) -> AbstractContextManager[None]:
        """Hold LOCK: one at a time opens journals, packs, repairs, removes."""
        return disk.locked(self.path / "LOCK")

    def read_spec(self) -> dict[str, Any]:
        """The spec, checked against the key in the folder's name.

        Raises StoreError: missing, damaged, or of another key.
        """
        spec = None
        with contextlib.suppress(OSError, ValueError):
            spec = json.loads(self.spec.read_bytes())
        if not isinstance(spec, dict) or not self.path.name.endswith(f"-{key_of(spec)[:KEY_CHARS]}"):
            raise StoreError(f"{self.spec} is missing or damaged", f"Run: imbpipe cache repair {self.path}")
        return spec

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        """Store the key document unless it is there."""
        if not self.spec.exists() or self.spec.read_bytes() != canonical(spec):
            disk.replace_whole(self.spec, canonical(spec))
