"""Read features.h5 without trusting it: the structure is checked before any data, then every row."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.chunks import Chunks, layout_of
from imbpipe.cache.hdf5 import ARRAYS, BLOCK_ROWS, CHUNK_ROWS, TEXTS, Content, Digest, row_crcs
from imbpipe.cache.layout import damaged, decode_text
from imbpipe.cache.plan import BATCH_SIZE, StorePlan
from imbpipe.cache.stamp import NO_FILE
from imbpipe.cache.stored import StoredFeatures, check_finite
from imbpipe.cache.structure import check_regular, check_structure
from imbpipe.errors import StoreError
from imbpipe.types import FeatureSet, FeatureSource

BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What HDF5 and its reader raise at damaged files."""

Look = Callable[[Content, int, NDArray[Any]], None]

OTHER_DIGEST = "its contents do not match its digest"


def read_features(path: Path) -> FeatureSet:
    """All of the file at `path`, every row verified.

    Raises StoreError: missing, not a file of the store, damaged (with the first damaged row's id).
    """
    with _opened(path) as file:
        content, features = _read_verified(file, path)
    return _feature_set(path, content, features.astype(np.float32, copy=False))


def read_or_open(path: Path, memory: int) -> FeatureSet:
    """As `read_features`, or `open_features` where the features take more than `memory` bytes as float32."""
    with _opened(path) as file:
        rows, dimension = file["features"].shape
    return read_features(path) if 4 * rows * dimension <= memory else open_features(path, memory)


def open_features(path: Path, memory: int) -> FeatureSet:
    """As `read_features`, but the features stay in the file; every row is verified now and when it is read.

    memory: bytes that may be taken for them at a time. Raises StoreError as above, and where a feature is
    not finite.
    """

    def look(content: Content, start: int, block: NDArray[Any]) -> None:
        check_finite(block, content.arrays["ids"][start : start + len(block)], start)

    content, chunks = open_rows(path, look)
    return _feature_set(path, content, StoredFeatures(chunks, memory))


def open_rows(path: Path, look: Look | None = None) -> tuple[Content, Chunks]:
    """The parts of the file at `path`, every row verified and left in the file.

    look: shown every block of rows as it is stored, with the number of its first. Raises StoreError as above.
    """
    with _opened(path) as file:
        content = _read_content(file)
        chunks = Chunks(path, layout_of(file["features"], path))
    digest = Digest()
    for start in range(0, content.shape[0], BLOCK_ROWS):
        block = chunks.first(start, BLOCK_ROWS)
        digest.add(block)
        if look is not None:
            look(content, start, block)
    if digest.finish(content) != content.digest:
        verify_file(path)  # says which row
        raise damaged(path, OTHER_DIGEST)
    return content, chunks


def _feature_set(path: Path, content: Content, features: FeatureSource) -> FeatureSet:
    with _broken_means_damaged(path):
        quarantined = json.loads(content.arrays["quarantined"].tobytes())
        return FeatureSet(
            features=features,
            ids=_decoded(content, "ids"),
            labels=content.arrays["labels"].astype(bool),
            class_names=_decoded(content, "class_names"),
            task=decode_text(content.texts["task"]),  # type: ignore[arg-type]  # written from a Task, verified
            dataset=decode_text(content.texts["dataset"]),
            encoder=decode_text(content.texts["encoder"]),
            spec=json.loads(content.texts["spec"]),
            digest=content.digest,
            quarantined={name: entry["reason"] for name, entry in quarantined.items()},
        )


def verify_file(path: Path) -> str:
    """The digest of the file at `path`, every row verified, also alone, and none kept.

    Raises StoreError as above.
    """
    with _opened(path) as file:
        content = _read_content(file)
        digest = Digest()
        crcs = np.empty_like(content.arrays["row_crc32"])
        for start in range(0, content.shape[0], BLOCK_ROWS):
            rows = np.s_[start : start + BLOCK_ROWS]
            try:
                block = file["features"][rows]
            except BROKEN as error:
                raise _unreadable(path, file["features"], content, start) from error
            digest.add(block)
            crcs[rows] = row_crcs(content.arrays["ids"][rows], content.arrays["image_digest"][rows], block)
    found = digest.finish(content)
    _check_rows(path, content, crcs)
    if found != content.digest:
        raise damaged(path, OTHER_DIGEST)
    return found


def read_content(path: Path) -> Content:
    """All but the features, which are not touched; HDF5's own checksums hold. Raises StoreError as above."""
    with _opened(path) as file:
        return _read_content(file)


def plan_of_file(path: Path) -> StorePlan:
    """What PLAN.json would say of the rows in the file at `path`, had the images never been seen."""
    content = read_content(path)
    n = content.shape[0]
    return StorePlan(
        dataset=decode_text(content.texts["dataset"]),
        encoder=decode_text(content.texts["encoder"]),
        task=decode_text(content.texts["task"]),  # type: ignore[arg-type]  # written from a Task
        class_names=_decoded(content, "class_names"),
        batch_size=BATCH_SIZE,
        ids=_decoded(content, "ids"),
        paths=("",) * n,
        labels=content.arrays["labels"].astype(bool),
        stamps=np.full((n, 2), NO_FILE, dtype=np.int64),
        digests=content.arrays["image_digest"],
        known=np.ones(n, dtype=bool),
        packed=np.ones(n, dtype=bool),
        published="",
        quarantined={},
    )


def salvage(path: Path) -> tuple[Content, NDArray[Any], NDArray[np.bool_]]:
    """The parts of a damaged file, and (n,) which of its rows still match their checksums.

    Raises StoreError: not even ids and checksums can be read.
    """
    with _opened(path) as file:
        content = _read_content(file)
        source = file["features"]
        features = np.zeros(source.shape, source.dtype)
        good = np.ones(len(features), dtype=bool)
        for start in range(0, len(features), CHUNK_ROWS):
            rows = np.s_[start : start + CHUNK_ROWS]
            try:
                source.read_direct(features, rows, rows)
            except BROKEN:
                good[rows] = False
    crcs = row_crcs(content.arrays["ids"], content.arrays["image_digest"], features)
    return content, features, good & (crcs == content.arrays["row_crc32"])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, its structure checked and no data touched yet."""
    check_regular(path)
    with _broken_means_damaged(path), _open(path) as file:
        check_structure(file, path)
        yield file


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # this process has it open already, with a lock


@contextlib.contextmanager
def _broken_means_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def _read_verified(file: h5py.File, path: Path) -> tuple[Content, NDArray[Any]]:
    content = _read_content(file)
    source = file["features"]
    features = np.empty(source.shape, source.dtype)
    digest = Digest()
    for start in range(0, len(features), BLOCK_ROWS):
        rows = np.s_[start : start + BLOCK_ROWS]
        try:
            source.read_direct(features, rows, rows)
        except BROKEN as error:
            raise _unreadable(path, source, content, start) from error
        digest.add(features[rows])
    if digest.finish(content) != content.digest:
        crcs = row_crcs(content.arrays["ids"], content.arrays["image_digest"], features)
        _check_rows(path, content, crcs)
        raise damaged(path, OTHER_DIGEST)
    return content, features


def _read_content(file: h5py.File) -> Content:
    texts = {name: bytes(file.attrs[name]) for name in TEXTS}
    arrays = {name: file[name][...] for name in ARRAYS}
    features = file["features"]
    digest = bytes(file.attrs["digest"]).decode()
    return Content(texts, arrays, features.shape, features.dtype.str, digest)


def _decoded(content: Content, name: str) -> tuple[str, ...]:
    return tuple(map(decode_text, content.arrays[name].tolist()))


def _unreadable(path: Path, source: h5py.Dataset, content: Content, start: int) -> StoreError:
    for first in range(start, len(source), CHUNK_ROWS):
        try:
            source[first : first + CHUNK_ROWS]
        except BROKEN:
            start = first
            break
    last = min(start + CHUNK_ROWS, len(source)) - 1
    return damaged(path, f"rows {start} to {last} (from {_decoded(content, 'ids')[start]!r}) cannot be read")


def _check_rows(path: Path, content: Content, crcs: NDArray[np.uint32]) -> None:
    """crcs: (n,) of the rows as they were read."""
    bad = np.flatnonzero(crcs != content.arrays["row_crc32"])
    if len(bad):
        first = _decoded(content, "ids")[bad[0]]
        raise damaged(path, f"{len(bad)} rows do not match their checksums (first row {bad[0]}, {first!r})")
