"""A JSON document that ends with its own SHA-256, written and read a field at a time.

As Python objects a field takes several times the room of its text: no two large ones are spread out at once.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imbpipe.cache import disk
from imbpipe.cache.spec import canonical

_SEAL = b',"sha256":"'
_END = b'"}'


def seal(fields: Mapping[str, Callable[[], object]]) -> bytes:
    """Canonical JSON of the fields, each made when its turn comes, and the SHA-256 of it as a last field."""
    pieces: list[bytes] = []
    for name in sorted(fields):
        pieces += [b"," if pieces else b"{", canonical(name), b":", canonical(fields[name]())]
    found = hashlib.sha256()
    for piece in (*pieces, b"}"):
        found.update(piece)
    return b"".join([*pieces, _SEAL, found.hexdigest().encode(), _END])


def unseal(data: bytes) -> Iterator[tuple[str, Any]]:
    """Name and value of each field in turn. Raises ValueError: not what `seal` gave."""
    end = data.rfind(_SEAL)
    body = memoryview(data)[: max(end, 0)]
    found = hashlib.sha256(body)
    found.update(b"}")
    if data[end + len(_SEAL) :] != found.hexdigest().encode() + _END:
        raise ValueError("the seal is broken")
    text, place, decode = str(body, "ascii"), 1, json.JSONDecoder().raw_decode
    while place < len(text):
        name, place = decode(text, place)
        value, place = decode(text, place + 1)
        yield name, value
        place += 1


def write_sealed(path: Path, data: bytes) -> None:
    """Replace the file at `path` unless it holds these bytes already."""
    if path.exists():
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(data).digest():
                return
    disk.replace_whole(path, data)
