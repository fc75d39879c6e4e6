"""The document that says how features were made, and the key that stands for it."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.errors import StoreError

Spec = Mapping[str, Any]
DTYPES = {"float32": "<f4", "float16": "<f2"}
MOST_BYTES = 60_000
DEFAULT_ROOT = Path("cache")
IMPORTED = "imported"
IMPORTED_PREFIX = f"{IMPORTED}:"
"""Begins the encoder's name of features that were made elsewhere."""


def canonical(document: object) -> bytes:
    """The one spelling of a JSON document: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def key_of(spec: Spec) -> str:
    """SHA-256 of the canonical spec, hexadecimal."""
    return hashlib.sha256(canonical(spec)).hexdigest()


def journal_key(spec: Spec) -> bytes:
    """The first eight bytes of the key, which every record of a journal carries."""
    return bytes.fromhex(key_of(spec))[:8]


def row_bytes(spec: Spec) -> int:
    """Bytes of the features of a row."""
    return int(spec["dim"]) * np.dtype(DTYPES[spec["dtype"]]).itemsize


def check_spec(spec: Spec) -> None:
    """Raises StoreError: `dim` is no positive integer, `dtype` is unknown, the whole is too long."""
    dim = spec.get("dim")
    if not isinstance(dim, int) or dim < 1:
        raise StoreError(f"a spec with dimension {dim!r}", "`dim` is a positive integer")
    if spec.get("dtype") not in DTYPES:
        raise StoreError(f"a spec with dtype {spec.get('dtype')!r}", f"Known: {', '.join(DTYPES)}")
    if len(canonical(spec)) > MOST_BYTES:
        raise StoreError(f"a spec of {len(canonical(spec))} bytes", f"At most {MOST_BYTES} fit")


_WEIGHTS = {"random": " --weights random", "file": " --weights FILE"}


def weights_kind(spec: Spec) -> str:
    """ "pretrained", "file", "random" or "imported", as the spec says; "unknown" where it says nothing."""
    return str(spec.get("weights", "unknown"))


def describe_differences(made: Spec, wanted: Spec) -> str:
    """The fields in which two specs differ, with both values: "preprocessing.size (224, now 336)"."""
    before, now = documents = [flat(made), flat(wanted)]
    return ", ".join(
        f"{name} ({before.get(name, 'unset')}, now {now.get(name, 'unset')})"
        for name in _differing(documents)
    )


def telling_apart(specs: Sequence[Spec]) -> list[str]:
    """Of each spec, its values of the fields in which not all are alike: "encoder.backend torch"."""
    documents = [flat(spec) for spec in specs]
    fields = _differing(documents)
    return [", ".join(f"{name} {each.get(name, 'unset')}" for name in fields) for each in documents]


def _differing(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names whose values are not the same in all."""
    names = dict.fromkeys(name for document in documents for name in document)
    first, *others = documents
    return [name for name in names if any(each.get(name) != first.get(name) for each in others)]


def flat(document: Spec, prefix: str = "") -> dict[str, Any]:
    """Every value under its dotted name: {"decode": {"alpha": "black"}} -> {"decode.alpha": "black"}."""
    values: dict[str, Any] = {}
    for name, value in document.items():
        values.update(
            flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        )
    return values


def extract_command(root: Path, dataset: str, encoder: str, spec: Spec | None = None) -> str:
    """The remedy that encodes what is missing from the cache at `root`, or imports it again."""
    names = f"--dataset {shlex.quote(dataset)} --encoder {shlex.quote(encoder)}"
    if encoder.startswith(IMPORTED_PREFIX):
        return f"Run: imbpipe cache import SOURCE {names}{cache_option(root)}"
    weights = _WEIGHTS.get(weights_kind(spec), "") if spec else ""
    dtype = " --dtype float16" if spec and spec.get("dtype") == "float16" else ""
    return f"Run: imbpipe extract {names}{weights}{dtype}{_computing(spec or {})}{cache_option(root)}"


def _computing(spec: Spec) -> str:
    """The options that features of this spec are computed by, where they would not be by themselves."""
    from imbpipe.encoders.compute import openvino_version
    from imbpipe.encoders.resize import BY_LIBRARY

    values = flat(spec)
    precision, backend = values.get("precision", "float32"), values.get("encoder.backend")
    options = "" if precision == "float32" else f" --precision {precision}"
    if backend == "compiled" or (backend == "torch" and openvino_version()):
        options += f" --backend {backend}"
    exact = values.get("encoder.preprocess.resized_by") == BY_LIBRARY
    return options + " --preprocess exact" * exact


def cache_option(root: Path) -> str:
    """How a command is told of the cache at `root`; nothing for the one it takes by itself."""
    return "" if root == DEFAULT_ROOT else f" --cache {shlex.quote(str(root))}"
