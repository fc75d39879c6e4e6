"""An append-only file of checksummed records: what a worker has encoded so far.

A record is a header of 40 bytes and a payload, little-endian:

    magic "IMBJ" | version u8 | kind u8 | 0 u16 | key 8 bytes | sequence u32 | rows u32 | length u64
    | CRC-32 of the payload u32 | CRC-32 of the header before it u32

The first record is of kind SESSION; its payload is JSON. ROWS: a HEAD for each row, then the features
(rows, dim). QUARANTINE: JSON.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.stamp import DIGEST_BYTES

MAGIC = b"IMBJ"
VERSION = 1
SESSION, ROWS, QUARANTINE = 0, 1, 2
HEADER = struct.Struct("<4sBBH8sIIQI")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CRC.size
_BLOCK = 1 << 20
ID_BYTES = 16
HEAD = np.dtype([("id", "u1", ID_BYTES), ("digest", "u1", DIGEST_BYTES), ("stamp", "<i8", 2)])
"""A row beside its features: the first bytes of the SHA-256 of id and image; size and mtime in ns."""


@dataclass(frozen=True)
class Record:
    """One valid record. offset, length: of its payload in the file."""

    kind: int
    sequence: int
    rows: int
    offset: int
    length: int


@dataclass
class Scan:
    """What is valid in a journal.

    end: offset behind the last valid record. size: of the file; more than `end` is a torn tail.
    damaged: (start, end) of stretches that are followed by a valid record; no crash leaves such.
    foreign: the file begins with a record of another key.
    """

    records: list[Record] = field(default_factory=list)
    end: int = 0
    size: int = 0
    damaged: list[tuple[int, int]] = field(default_factory=list)
    foreign: bool = False


def pack_record(
    kind: int, key: bytes, sequence: int, payload: list[bytes | memoryview], rows: int = 0
) -> list[bytes | memoryview]:
    """The buffers of a record, header first. key: the first 8 bytes of the spec's key."""
    crc = 0
    for part in payload:
        crc = zlib.crc32(part, crc)
    length = sum(len(part) for part in payload)
    header = HEADER.pack(MAGIC, VERSION, kind, 0, key, sequence, rows, length, crc)
    return [header + CRC.pack(zlib.crc32(header)), *payload]


def heads_of(hashed_ids: Sequence[bytes], stamps: NDArray[np.int64]) -> NDArray[np.void]:
    """(n,) of type HEAD, the digests still empty. hashed_ids: n of 16 bytes. stamps: (n, 2)."""
    heads = np.zeros(len(hashed_ids), HEAD)
    heads["id"] = np.frombuffer(b"".join(hashed_ids), np.uint8).reshape(-1, ID_BYTES)
    heads["stamp"] = stamps
    return heads


def pack_rows(heads: NDArray[np.void], features: NDArray[Any]) -> list[bytes | memoryview]:
    """The payload of a ROWS record. heads: (b,) of type HEAD. features: (b, d), C-contiguous, as stored."""
    return [heads.tobytes(), features.data.cast("B")]


def scan(fd: int, key: bytes, *, payloads: bool = True) -> Scan:
    """Find the valid records of the open journal `fd` of the spec whose key begins with `key` (8 bytes).

    payloads: also check the CRC of each payload; without, only headers are looked at. The file is read and
    not mapped, since a writer may cut it at any moment. Raises OSError: it cannot be read.
    """
    result = Scan(size=os.fstat(fd).st_size)
    offset = 0
    while offset >= 0:
        record = _record_at(fd, offset, result.size, key, payloads)
        last = result.records[-1].sequence if result.records else -1
        if record is None or record.sequence <= last:
            offset = _next_magic(fd, offset + 1)
            continue
        if offset != result.end:
            result.damaged.append((result.end, offset))
        result.records.append(record)
        offset = result.end = record.offset + record.length
    result.foreign = not result.records and _foreign(fd, result.size, key)
    return result


def key_in(fd: int) -> bytes:
    """The eight bytes of the key that the first record claims."""
    return os.pread(fd, 8, 8)


def _record_at(fd: int, offset: int, size: int, key: bytes, payloads: bool) -> Record | None:
    header = os.pread(fd, HEADER_BYTES, offset)
    if len(header) < HEADER_BYTES or CRC.unpack_from(header, HEADER.size)[0] != zlib.crc32(
        header[: HEADER.size]
    ):
        return None
    magic, version, kind, _, owner, sequence, rows, length, crc = HEADER.unpack_from(header)
    start = offset + HEADER_BYTES
    if magic != MAGIC or version != VERSION or owner != key or start + length > size:
        return None
    if payloads and zlib.crc32(os.pread(fd, length, start)) != crc:
        return None
    return Record(kind, sequence, rows, start, length)


def _next_magic(fd: int, offset: int) -> int:
    """Where the next record may begin, from `offset` on; -1 where none does."""
    while block := os.pread(fd, _BLOCK, offset):
        found = block.find(MAGIC)
        if found >= 0:
            return offset + found
        offset += max(1, len(block) - len(MAGIC) + 1)
    return -1


def _foreign(fd: int, size: int, key: bytes) -> bool:
    owner = key_in(fd)
    return owner != key and _record_at(fd, 0, size, owner, True) is not None
