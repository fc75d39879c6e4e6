"""clip-retrieval's folder: features of length 1 in float16, in shards, with a table of names beside each.

img_emb/img_emb_K.npy (m, d) <f2; metadata/metadata_K.parquet, m rows in the same order. Where the encoder
reads text, classes/ is such a folder too, of text_emb/ and metadata/, a row a class.

Source: what `clip-retrieval inference` writes, and what its index and back end read.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.layout import utf8
from imbpipe.types import FeatureSet

SHARD_ROWS = 100_000
"""Images a shard: 102 MB at 512 dimensions, and what is held in memory beside the features."""

IMAGES, TEXTS, NAMES = "img_emb", "text_emb", "metadata"


def clip_retrieval_files(features: FeatureSet) -> dict[str, Callable[[FeatureSet, Path], None]]:
    """The files below the folder, and what writes each."""
    starts = range(0, len(features.ids), SHARD_ROWS)
    width = len(str(len(starts)))
    files: dict[str, Callable[[FeatureSet, Path], None]] = {}
    for number, start in enumerate(starts):
        rows = slice(start, start + SHARD_ROWS)
        files[f"/{IMAGES}/{IMAGES}_{number:0{width}}.npy"] = partial(_images, rows)
        files[f"/{NAMES}/{NAMES}_{number:0{width}}.parquet"] = partial(_image_names, rows)
    if features.text is not None:
        files[f"/classes/{TEXTS}/{TEXTS}_0.npy"] = _classes
        files[f"/classes/{NAMES}/{NAMES}_0.parquet"] = _class_names
    return files


def _images(rows: slice, features: FeatureSet, path: Path) -> None:
    shard = features.features[rows]
    stored_like_this = features.spec.get("normalised") and features.spec["dtype"] == "float16"
    _save(path, shard if stored_like_this else _unit(shard))


def _classes(features: FeatureSet, path: Path) -> None:
    assert features.text is not None
    _save(path, _unit(features.text))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def _save(path: Path, rows: NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.save(file, rows.astype("<f2"))


def _image_names(rows: slice, features: FeatureSet, path: Path) -> None:
    names = np.array(list(map(utf8, features.class_names)), object)
    captions = [", ".join(names[row]) for row in features.labels[rows]]
    _table(path, image_path=list(map(utf8, features.ids[rows])), caption=captions)


def _class_names(features: FeatureSet, path: Path) -> None:
    _table(path, caption=list(map(utf8, features.class_names)))


def _table(path: Path, **columns: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("wb") as file:
        pq.write_table(pa.table(columns), file)
