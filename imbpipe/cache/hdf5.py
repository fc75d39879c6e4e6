"""features.h5: one plain HDF5 file in which every byte that matters is covered by a checksum.

Format 1, written with libver ("v110", "v110") so that HDF5 checks its own metadata too:

    features (n, d) <f4 or <f2; ids (n,), class_names (c,) fixed-length bytes; labels (n, c) u1;
    image_digest (n, 16) u1; row_crc32 (n,) <u4; quarantined (m,) u1: JSON
    attributes: format <i8; dataset, encoder, task, spec (canonical JSON), digest: fixed-length bytes

All are chunked with fletcher32 and no other filter.

No variable-length data, no more than eight links or attributes: those would go to heaps without checksums.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.layout import DTYPES, canonical, encode_text
from imbpipe.errors import StoreError

FORMAT = 1
CHUNK_ROWS = 256
BLOCK_ROWS = 4096
LIBVER = ("v110", "v110")
TEXTS = ("dataset", "encoder", "task", "spec", "digest")
ARRAYS = ("class_names", "ids", "image_digest", "labels", "quarantined", "row_crc32")
MOST_ATTRIBUTE_BYTES = 60_000


@dataclass(frozen=True, eq=False)
class Content:
    """All of a file but its features.

    texts: dataset, encoder, task, spec as bytes. arrays: by the names in ARRAYS, `row_crc32` maybe not yet.
    shape: of the features. dtype: "<f4" or "<f2".
    """

    texts: Mapping[str, bytes]
    arrays: dict[str, NDArray[Any]]
    shape: tuple[int, int]
    dtype: str


def text_array(texts: Iterable[str]) -> NDArray[np.bytes_]:
    """Fixed-length bytes, padded with NUL."""
    return np.array([encode_text(text) for text in texts], dtype="S")


def make_content(
    *,
    dataset: str,
    encoder: str,
    task: str,
    spec: Mapping[str, Any],
    class_names: Iterable[str],
    ids: Iterable[str],
    labels: NDArray[np.bool_],
    image_digest: NDArray[np.uint8],
    quarantined: Mapping[str, Mapping[str, str]],
) -> Content:
    """What a file is to hold beside its features. Raises StoreError: the spec is too long."""
    texts = {
        "dataset": encode_text(dataset),
        "encoder": encode_text(encoder),
        "task": encode_text(task),
        "spec": canonical(spec),
    }
    for name, text in texts.items():
        if len(text) > MOST_ATTRIBUTE_BYTES:
            raise StoreError(f"{name} takes {len(text)} bytes", f"At most {MOST_ATTRIBUTE_BYTES} fit")
    arrays = {
        "class_names": text_array(class_names),
        "ids": text_array(ids),
        "image_digest": np.ascontiguousarray(image_digest),
        "labels": np.ascontiguousarray(labels, dtype=np.uint8),
        "quarantined": np.frombuffer(canonical(quarantined), dtype=np.uint8),
    }
    return Content(texts, arrays, (len(arrays["ids"]), spec["dim"]), DTYPES[spec["dtype"]])


class Digest:
    """SHA-256 over everything, its parts hashed apart so that the features can be hashed beside reading.

    The digest is the SHA-256 of one line a part, in the order texts, arrays, features:
    `name dtype shape sha256\\n`; for the features the last field is the SHA-256 of the concatenated SHA-256
    of blocks of 4,096 rows.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)
        self._blocks: list[Future[bytes]] = []

    def add(self, block: NDArray[Any]) -> None:
        """Hash the next block of features, which must not change any more."""
        self._blocks.append(self._pool.submit(lambda: hashlib.sha256(block.data.cast("B")).digest()))

    def finish(self, content: Content) -> bytes:
        """The digest, hexadecimal."""
        features = hashlib.sha256(b"".join(block.result() for block in self._blocks)).hexdigest()
        self._pool.shutdown()
        lines = [
            f"{name} text {len(text)} {hashlib.sha256(text).hexdigest()}" for name, text in _texts(content)
        ]
        for name in ARRAYS:
            array = content.arrays[name]
            hashed = hashlib.sha256(array.tobytes()).hexdigest()
            lines.append(f"{name} {array.dtype.str} {_shape(array.shape)} {hashed}")
        lines.append(f"features {content.dtype} {_shape(content.shape)} {features}")
        return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest().encode()


def _texts(content: Content) -> Iterator[tuple[str, bytes]]:
    return ((name, content.texts[name]) for name in TEXTS if name != "digest")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def row_crcs(
    ids: NDArray[np.bytes_], digests: NDArray[np.uint8], features: NDArray[Any]
) -> NDArray[np.uint32]:
    """CRC-32 of each row: its id as stored (padded), its image's digest, its features."""
    parts = [
        np.ascontiguousarray(part).view(np.uint8).reshape(len(ids), -1) for part in (ids, digests, features)
    ]
    data = np.concatenate(parts, axis=1)
    return np.fromiter((zlib.crc32(row) for row in data), dtype=np.uint32, count=len(data))


def write_file(path: Path, content: Content, blocks: Iterable[NDArray[Any]]) -> bytes:
    """Write a new file at `path` from blocks of at most BLOCK_ROWS rows; its digest, hexadecimal.

    Space is reserved first, so that a full disk is an OSError here and never a crash inside HDF5.
    """
    with h5py.File(path, "w-", libver=LIBVER):
        pass
    fd = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, _size_of(content))
    finally:
        os.close(fd)
    digest = Digest()
    content.arrays["row_crc32"] = np.zeros(content.shape[0], dtype="<u4")
    with h5py.File(path, "r+", libver=LIBVER) as file:
        features = _create(file, "features", content.shape, content.dtype)
        start = 0
        for block in blocks:
            rows = slice(start, start + len(block))
            features[rows] = block
            digest.add(block)
            content.arrays["row_crc32"][rows] = row_crcs(
                content.arrays["ids"][rows], content.arrays["image_digest"][rows], block
            )
            start += len(block)
        for name in ARRAYS:
            array = content.arrays[name]
            _create(file, name, array.shape, array.dtype)[...] = array
        seal = digest.finish(content)
        file.attrs.create("format", FORMAT, dtype="<i8")
        for name, text in (*_texts(content), ("digest", seal)):
            file.attrs.create(name, np.bytes_(text))
    return seal


def _size_of(content: Content) -> int:
    n, d = content.shape
    rows = n * (d * np.dtype(content.dtype).itemsize + 4) + sum(
        array.nbytes for array in content.arrays.values()
    )
    return rows + rows // 64 + CHUNK_ROWS * d * 4 + 300_000


def _create(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    most = CHUNK_ROWS if len(shape) == 2 else BLOCK_ROWS
    chunks = (min(most, shape[0]), *shape[1:])
    return file.create_dataset(name, shape, dtype, chunks=chunks, fletcher32=True, track_times=False)


def parse_json(array: NDArray[np.uint8]) -> Any:
    """The JSON document held as bytes."""
    return json.loads(array.tobytes())
