"""What a features.h5 must look like before any of its data is touched."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from imbpipe.cache.hdf5 import ARRAYS, FORMAT, TEXTS
from imbpipe.cache.spec import DTYPES, MOST_BYTES
from imbpipe.errors import StoreError

TYPES = {"image_digest": "|u1", "labels": "|u1", "quarantined": "|u1", "row_crc32": "<u4"}
REMEDY = "Remove it and extract again"


def check_regular(path: Path) -> None:
    """Raises StoreError: there is no regular file at `path` (opening a pipe would wait for ever)."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", "Check path and permissions") from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a regular file", REMEDY)


def check_structure(file: h5py.File, path: Path) -> None:
    """Raises StoreError: links, external data, filters, types or shapes that the store never writes."""
    for name in ("format", *TEXTS, "digest"):
        _check_attribute(file, name, path)
    if file.attrs["format"] != FORMAT:
        raise StoreError(f"{path} is of format {file.attrs['format']}, not {FORMAT}", REMEDY)
    size = os.stat(path).st_size
    shapes = {name: _check_dataset(file, name, path, size) for name in (*ARRAYS, "features")}
    spec = json.loads(bytes(file.attrs["spec"]))
    n, c = shapes["ids"][0], shapes["class_names"][0]
    wanted = {"features": (n, spec["dim"]), "labels": (n, c), "image_digest": (n, 16), "row_crc32": (n,)}
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise StoreError(f"{name} in {path} has shape {shapes[name]}, not {shape}", REMEDY)
    dtype = file["features"].dtype.str
    if dtype != DTYPES.get(spec["dtype"]):
        raise StoreError(f"features in {path} are {dtype}, not {spec['dtype']}", REMEDY)


def _check_attribute(file: h5py.File, name: str, path: Path) -> None:
    if name not in file.attrs:
        raise StoreError(f"{path} is not a file of this store: it has no attribute {name!r}", REMEDY)
    found = file.attrs.get_id(name)
    kind = "i" if name == "format" else "S"
    if found.shape != () or found.dtype.kind != kind or found.dtype.itemsize > MOST_BYTES:
        raise StoreError(f"attribute {name!r} in {path} is of a type that this store never writes", REMEDY)


def _check_dataset(file: h5py.File, name: str, path: Path, size: int) -> tuple[int, ...]:
    """Its shape."""
    link = file.get(name, getlink=True) if name in file else None
    if link is None:
        raise StoreError(f"{path} has no {name!r}", REMEDY)
    if not isinstance(link, h5py.HardLink):
        raise StoreError(f"{name} in {path} is a link to somewhere else", REMEDY)
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise StoreError(f"{name} in {path} is not a data set", REMEDY)
    what = _foreign_type(name, found.dtype) or _foreign_storage(found)
    if what:
        raise StoreError(f"{name} in {path} {what}", REMEDY)
    dimensions = 2 if name in ("features", "labels", "image_digest") else 1
    if found.ndim != dimensions or found.nbytes > size or found.maxshape != found.shape:
        raise StoreError(f"{name} in {path} claims shape {found.shape} in a file of {size} bytes", REMEDY)
    if any(chunk > length for chunk, length in zip(found.chunks, found.shape, strict=True)):
        raise StoreError(f"{name} in {path} claims chunks of shape {found.chunks}", REMEDY)
    return found.shape


def _foreign_storage(found: h5py.Dataset) -> str:
    if found.is_virtual:
        return "is a virtual data set"
    if found.external:
        return "keeps its data in another file"
    if not found.chunks:
        return "is not stored in checksummed chunks"
    filters = found.id.get_create_plist()
    codes = [filters.get_filter(place)[0] for place in range(filters.get_nfilters())]
    return (
        ""
        if codes == [h5py.h5z.FILTER_FLETCHER32]
        else f"passes through filters {codes}, not fletcher32 alone"
    )


def _foreign_type(name: str, dtype: np.dtype[Any]) -> str:
    if name == "features":
        right = dtype.str in DTYPES.values()
    elif name in TYPES:
        right = dtype.str == TYPES[name]
    else:
        right = dtype.kind == "S"
    return "" if right else f"is of type {dtype}"
