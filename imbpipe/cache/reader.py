"""Read features.h5 without trusting it: every check of structure before any data, every row verified."""

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.hdf5 import (
    ARRAYS,
    BLOCK_ROWS,
    CHUNK_ROWS,
    FORMAT,
    TEXTS,
    Content,
    Digest,
    parse_json,
    row_crcs,
)
from imbpipe.cache.layout import DTYPES, decode_text
from imbpipe.cache.plan import BATCH_SIZE, NO_FILE, StorePlan
from imbpipe.errors import StoreError
from imbpipe.types import FeatureSet

KINDS = {
    "class_names": "S",
    "ids": "S",
    "image_digest": "u1",
    "labels": "u1",
    "quarantined": "u1",
    "row_crc32": "<u4",
}


def read_features(path: Path) -> FeatureSet:
    """All of the file at `path`, every row verified.

    Raises StoreError: missing, no file of the store, damaged (with the first damaged row's id).
    """
    with open_checked(path) as file:
        content, seal = read_content(file, path)
        features, digest = _read_rows(file["features"], content, path)
    if digest.finish(content) != seal:
        _name_damage(path, content, features)
    return feature_set(content, seal, features, path)


def plan_of_file(path: Path) -> StorePlan:
    """What PLAN.json would say of the rows in the file at `path`, the images not looked at."""
    with open_checked(path) as file:
        content, _ = read_content(file, path)
    with _damage(path):
        n = content.shape[0]
        ids = tuple(map(decode_text, content.arrays["ids"].tolist()))
        return StorePlan(
            dataset=decode_text(content.texts["dataset"]),
            encoder=decode_text(content.texts["encoder"]),
            task=decode_text(content.texts["task"]),  # type: ignore[arg-type]  # written from a Task
            class_names=tuple(map(decode_text, content.arrays["class_names"].tolist())),
            batch_size=BATCH_SIZE,
            ids=ids,
            paths=("",) * n,
            labels=content.arrays["labels"].astype(bool),
            stamps=np.full((n, 2), NO_FILE, dtype=np.int64),
            digests=content.arrays["image_digest"],
            known=np.ones(n, dtype=bool),
            packed=np.ones(n, dtype=bool),
            quarantined={},
        )


def feature_set(content: Content, seal: bytes, features: NDArray[Any], path: Path) -> FeatureSet:
    """The verified parts as what the rest of the program reads."""
    with _damage(path):
        return FeatureSet(
            features=features.astype(np.float32, copy=False),
            ids=tuple(map(decode_text, content.arrays["ids"].tolist())),
            labels=content.arrays["labels"].astype(bool),
            class_names=tuple(map(decode_text, content.arrays["class_names"].tolist())),
            task=decode_text(content.texts["task"]),  # type: ignore[arg-type]  # the digest vouches for it
            dataset=decode_text(content.texts["dataset"]),
            encoder=decode_text(content.texts["encoder"]),
            spec=json.loads(content.texts["spec"]),
            digest=seal.decode(),
            quarantined={
                name: entry["reason"] for name, entry in parse_json(content.arrays["quarantined"]).items()
            },
        )


@contextlib.contextmanager
def open_checked(path: Path) -> Iterator[h5py.File]:
    """Open the file for reading once its structure is that of the format, no data touched yet."""
    _check_regular(path)
    with _damage(path), h5py.File(path, "r", locking=False) as file:
        _check_structure(file, path)
        yield file


def read_content(file: h5py.File, path: Path) -> tuple[Content, bytes]:
    """All but the features, and the digest that the file claims."""
    with _damage(path):
        texts = {
            name: file.attrs[name].item() if hasattr(file.attrs[name], "item") else file.attrs[name]
            for name in TEXTS
        }
        arrays = {name: file[name][...] for name in ARRAYS}
        features = file["features"]
        return Content(texts, arrays, features.shape, features.dtype.str), texts["digest"]


def _read_rows(source: h5py.Dataset, content: Content, path: Path) -> tuple[NDArray[Any], Digest]:
    features = np.empty(source.shape, source.dtype)
    digest = Digest()
    for start in range(0, len(features), BLOCK_ROWS):
        rows = np.s_[start : start + BLOCK_ROWS]
        try:
            source.read_direct(features, rows, rows)
        except (OSError, RuntimeError) as error:
            first, last = _bad_chunk(source, start)
            name = decode_text(content.arrays["ids"][first])
            raise damaged(path, f"rows {first} to {last} (from {name!r}) cannot be read") from error
        digest.add(features[rows])
    return features, digest


def _bad_chunk(source: h5py.Dataset, start: int) -> tuple[int, int]:
    for first in range(start, len(source), CHUNK_ROWS):
        last = min(first + CHUNK_ROWS, len(source)) - 1
        try:
            source[first : last + 1]
        except (OSError, RuntimeError):
            return first, last
    return start, min(start + BLOCK_ROWS, len(source)) - 1


def _name_damage(path: Path, content: Content, features: NDArray[Any]) -> NoReturn:
    crcs = row_crcs(content.arrays["ids"], content.arrays["image_digest"], features)
    bad = np.flatnonzero(crcs != content.arrays["row_crc32"])
    if len(bad):
        name = decode_text(content.arrays["ids"][bad[0]])
        raise damaged(path, f"row {bad[0]} ({name!r}) of {len(bad)} damaged rows does not match its checksum")
    raise damaged(path, "its contents do not match its digest")


def damaged(path: Path, what: str) -> StoreError:
    """The error for a file whose bytes changed."""
    return StoreError(f"{path} is damaged: {what}", f"Run: imbpipe cache repair {path.parent}")


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What HDF5 and its reader raise at a damaged file, as one StoreError."""
    try:
        yield
    except StoreError:
        raise
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        UnicodeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def _check_regular(path: Path) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a regular file")


def _check_structure(file: h5py.File, path: Path) -> None:
    for name in ("format", *TEXTS):
        _check_attribute(file, name, path)
    if file.attrs["format"] != FORMAT:
        raise StoreError(f"{path} is of format {file.attrs['format']}", f"This version reads format {FORMAT}")
    size = os.stat(path).st_size
    shapes = {name: _check_dataset(file, name, path, size).shape for name in (*ARRAYS, "features")}
    n, c = shapes["ids"][0], shapes["class_names"][0]
    d = json.loads(file.attrs["spec"]).get("dim")
    expected = {"features": (n, d), "labels": (n, c), "image_digest": (n, 16), "row_crc32": (n,)}
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise StoreError(f"{name} in {path} has shape {shapes[name]}, not {shape}", "Extract it again")


def _check_attribute(file: h5py.File, name: str, path: Path) -> None:
    if name not in file.attrs:
        raise StoreError(f"{path} has no attribute {name!r}: it is no file of this store")
    found = file.attrs.get_id(name)
    if found.shape != () or found.dtype.kind != ("i" if name == "format" else "S"):
        raise StoreError(f"attribute {name!r} in {path} is not of a fixed-length type")


def _check_dataset(file: h5py.File, name: str, path: Path, size: int) -> h5py.Dataset:
    link = file.get(name, getlink=True) if name in file else None
    if not isinstance(link, h5py.HardLink):
        raise StoreError(f"{path} has no {name!r} of its own (missing, or a link elsewhere)")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise StoreError(f"{name} in {path} is not a data set")
    filters = found.id.get_create_plist()
    codes = [filters.get_filter(place)[0] for place in range(filters.get_nfilters())]
    if found.is_virtual or found.external or codes != [h5py.h5z.FILTER_FLETCHER32] or not found.chunks:
        raise StoreError(f"{name} in {path} is stored in a way this store never writes (filters {codes})")
    if not _right_type(name, found.dtype):
        raise StoreError(f"{name} in {path} is of type {found.dtype}")
    if found.ndim != (2 if name in ("features", "labels", "image_digest") else 1) or found.nbytes > size:
        raise StoreError(f"{name} in {path} claims shape {found.shape} in a file of {size} bytes")
    return found


def _right_type(name: str, dtype: np.dtype[Any]) -> bool:
    if name == "features":
        return dtype.str in DTYPES.values()
    if h5py.check_string_dtype(dtype) is not None and dtype.kind != "S":
        return False
    return dtype.kind == "S" if KINDS[name] == "S" else dtype == np.dtype(KINDS[name])
