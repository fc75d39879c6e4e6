"""features.h5: one plain HDF5 file in which every byte that matters is covered by a checksum.

Format 1, written with libver ("v110", "v110") so that HDF5 checks its own metadata too:

    features (n, d) <f4 or <f2; ids (n,), class_names (c,) fixed-length bytes; labels (n, c) u1;
    image_digest (n, 16) u1; row_crc32 (n,) <u4; quarantined (m,) u1: JSON
    attributes: format <i8; dataset, encoder, task, spec (canonical JSON), digest: fixed-length bytes

All are chunked with fletcher32 and no other filter. Nothing is of variable length, and there are no more
than eight links or attributes: HDF5 would put those into heaps that it does not check.
"""

import hashlib
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.layout import CHUNK_ROWS, encode_text
from imbpipe.cache.plan import Quarantined
from imbpipe.cache.spec import DTYPES, MOST_BYTES, Spec, canonical
from imbpipe.errors import StoreError

FORMAT = 1
BLOCK_ROWS = 4096
WAITING = 3
"""Blocks that may wait to be hashed."""
LIBVER = ("v110", "v110")
TEXTS = ("dataset", "encoder", "task", "spec")
ARRAYS = ("class_names", "ids", "image_digest", "labels", "quarantined", "row_crc32")


@dataclass(frozen=True, eq=False)
class Content:
    """All of a file but its features: texts by the names in TEXTS, arrays by those in ARRAYS.

    shape, dtype: of the features, "<f4" or "<f2". digest: what the file claims; empty before it is written.
    """

    texts: Mapping[str, bytes]
    arrays: Mapping[str, NDArray[Any]]
    shape: tuple[int, int]
    dtype: str
    digest: str = ""


def make_content(
    *,
    dataset: str,
    encoder: str,
    task: str,
    spec: Spec,
    class_names: Iterable[str],
    ids: Iterable[str],
    labels: NDArray[np.bool_],
    image_digest: NDArray[np.uint8],
    quarantined: Quarantined,
) -> Content:
    """What a file is to hold; the row checksums are filled in while it is written.

    Raises StoreError: a name is too long.
    """
    texts = {"dataset": encode_text(dataset), "encoder": encode_text(encoder), "task": encode_text(task)}
    for name, text in texts.items():
        if len(text) > MOST_BYTES:
            raise StoreError(f"the name of the {name} takes {len(text)} bytes", f"At most {MOST_BYTES} fit")
    arrays = {
        "class_names": _text_array(class_names),
        "ids": _text_array(ids),
        "image_digest": np.ascontiguousarray(image_digest),
        "labels": np.ascontiguousarray(labels, dtype=np.uint8),
        "quarantined": np.frombuffer(canonical(quarantined), dtype=np.uint8),
    }
    n = len(arrays["ids"])
    arrays["row_crc32"] = np.zeros(n, dtype="<u4")
    return Content({**texts, "spec": canonical(spec)}, arrays, (n, spec["dim"]), DTYPES[spec["dtype"]])


def _text_array(texts: Iterable[str]) -> NDArray[np.bytes_]:
    return np.array([encode_text(text) for text in texts], dtype="S")


def same_content(one: Content, other: Content) -> bool:
    """Whether two files hold the same rows of the same images, labels and all."""
    names = set(ARRAYS) - {"row_crc32"}
    return one.texts == other.texts and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in names
    )


class Digest:
    """SHA-256 over everything; the features are hashed in blocks, beside reading or writing them.

    It is the SHA-256 of one line a part, texts then arrays then features: `name dtype shape sha256\\n`.
    For the features the last field is the SHA-256 of the concatenated SHA-256 of blocks of 4,096 rows.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)
        self._blocks: list[Future[bytes]] = []

    def add(self, block: NDArray[Any]) -> None:
        """Hash the next block of features, which must not change any more; wait if too many wait."""
        if len(self._blocks) >= WAITING:
            self._blocks[-WAITING].result()
        self._blocks.append(self._pool.submit(lambda: hashlib.sha256(block.data.cast("B")).digest()))

    def finish(self, content: Content) -> str:
        """The digest, hexadecimal."""
        blocks = b"".join(block.result() for block in self._blocks)
        self._pool.shutdown()
        lines = [_line(name, "S", (len(content.texts[name]),), content.texts[name]) for name in TEXTS]
        arrays = [(name, content.arrays[name]) for name in ARRAYS]
        lines += [_line(name, array.dtype.str, array.shape, array.tobytes()) for name, array in arrays]
        lines.append(_line("features", content.dtype, content.shape, blocks))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _line(name: str, dtype: str, shape: tuple[int, ...], data: bytes) -> str:
    return f"{name} {dtype} {'x'.join(map(str, shape))} {hashlib.sha256(data).hexdigest()}\n"


def row_crcs(
    ids: NDArray[np.bytes_], digests: NDArray[np.uint8], features: NDArray[Any]
) -> NDArray[np.uint32]:
    """CRC-32 of each row: its id as stored (padded with NUL), its image's digest, its features."""
    heads = np.concatenate([_bytes_of(ids), _bytes_of(digests)], axis=1)
    rows = _bytes_of(features)
    crcs = (zlib.crc32(row, zlib.crc32(head)) for head, row in zip(heads, rows, strict=True))
    return np.fromiter(crcs, dtype="<u4", count=len(rows))


def _bytes_of(part: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, bytes of a row)."""
    return np.ascontiguousarray(part).view(np.uint8).reshape(len(part), -1)


def write_file(path: Path, content: Content, blocks: Iterable[NDArray[Any]]) -> str:
    """Write a new file at `path` from blocks of BLOCK_ROWS rows (the last may be shorter); its digest.

    Room is claimed first, so that a full disk is an OSError here and no crash inside HDF5.
    """
    with h5py.File(path, "w-", libver=LIBVER, locking=False):
        pass
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        disk.reserve(fd, _room_for(content))
    finally:
        os.close(fd)
    with h5py.File(path, "r+", libver=LIBVER, locking=False) as file:
        digest = _write_rows(file, content, blocks)
        for name in ARRAYS:
            array = content.arrays[name]
            _create(file, name, array.shape, array.dtype)[...] = array
        seal = digest.finish(content)
        file.attrs.create("format", FORMAT, dtype="<i8")
        for name, text in {**content.texts, "digest": seal.encode()}.items():
            file.attrs.create(name, np.bytes_(text))
    return seal


def _write_rows(file: h5py.File, content: Content, blocks: Iterable[NDArray[Any]]) -> Digest:
    features = _create(file, "features", content.shape, content.dtype)
    digest = Digest()
    start = 0
    for block in blocks:
        rows = slice(start, start + len(block))
        features[rows] = block
        digest.add(block)
        ids, digests = content.arrays["ids"][rows], content.arrays["image_digest"][rows]
        content.arrays["row_crc32"][rows] = row_crcs(ids, digests, block)
        start += len(block)
    return digest


def _room_for(content: Content) -> int:
    """More than the file's size: whole chunks, 64 bytes a chunk to find it by, 32 KiB for the rest."""
    size = 32_768
    arrays = [(array.shape, array.dtype) for array in content.arrays.values()]
    for shape, dtype in [*arrays, (content.shape, np.dtype(content.dtype))]:
        chunk = _chunks(shape)
        size += -(-shape[0] // chunk[0]) * (math.prod(chunk) * dtype.itemsize + 64)
    return size


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    rows = CHUNK_ROWS if len(shape) == 2 else BLOCK_ROWS
    return (min(rows, shape[0]), *shape[1:])


def _create(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    return file.create_dataset(name, shape, dtype, chunks=_chunks(shape), fletcher32=True)
