"""Write features for other programs: each format by its own library, each file whole or not at all."""

import json
import os
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.cache import disk
from imbpipe.cache.clip_retrieval import clip_retrieval_files
from imbpipe.cache.layout import utf8
from imbpipe.errors import StoreError, show
from imbpipe.types import FeatureSet

Write = Callable[[FeatureSet, Path], None]
Files = Callable[[FeatureSet], dict[str, Write]]


@dataclass(frozen=True)
class Exported:
    """paths: the files written. rows: in each."""

    paths: tuple[Path, ...]
    rows: int


def export(features: FeatureSet, form: str, target: Path, *, force: bool = False) -> Exported:
    """Write `features` as `form` (a name in FORMATS) to files named `target` plus the format's endings.

    force: replace files that are there. Raises StoreError: they are there, the format is unknown, its
    library is not installed, the disk is full.
    """
    if form not in FORMATS:
        raise StoreError(f"no export format {form!r}", f"Known: {', '.join(FORMATS)}")
    paths = {Path(f"{target}{ending}"): write for ending, write in FORMATS[form](features).items()}
    folders = sorted({path.parent for path in paths})
    _refuse_present(paths, target, force=force)
    temporaries = [path.with_name(f".{path.name}.tmp-{uuid.uuid4().hex}") for path in paths]
    try:
        with disk.explained(target):
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            for temporary, write in zip(temporaries, paths.values(), strict=True):
                write(features, temporary)
                _sync(temporary)
            for temporary, path in zip(temporaries, paths, strict=True):
                os.replace(temporary, path)
            for folder in folders:
                disk.sync_folder(folder)
    except ImportError as error:
        raise StoreError(f"{form} needs {error.name}", f"Run: pip install {error.name}") from error
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
    return Exported(tuple(paths), len(features.ids))


def _refuse_present(paths: Collection[Path], target: Path, *, force: bool) -> None:
    """Nothing is overwritten unasked, and no shard of an older export stays among the new ones."""
    present = [path for path in paths if path.exists()]
    if present and not force:
        raise StoreError(f"{present[0]} is there already", "Choose another name, or --force")
    shards = {path.parent for path in paths} - {target.parent}
    others = [path for folder in shards for path in folder.glob("[!.]*") if path not in paths]
    if others:
        raise StoreError(f"{min(others)} would be taken for a part of this export", "Choose another folder")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _origin(features: FeatureSet) -> dict[str, Any]:
    """Where the numbers come from."""
    return {
        "dataset": features.dataset,
        "encoder": features.encoder,
        "task": features.task,
        "digest": features.digest,
        "spec": features.spec,
    }


def _npy(features: FeatureSet, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(features.features, dtype=np.float32))


def _labels_npy(features: FeatureSet, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, features.labels)


def _names_json(features: FeatureSet, path: Path) -> None:
    names = {"ids": features.ids, "class_names": features.class_names, "origin": _origin(features)}
    path.write_text(json.dumps(names), encoding="ascii")


def _ids_txt(features: FeatureSet, path: Path) -> None:
    path.write_text("".join(f"{show(name)}\n" for name in features.ids), encoding="utf-8")


def _vectors_tsv(features: FeatureSet, path: Path) -> None:
    np.savetxt(path, features.features[:], fmt="%.9g", delimiter="\t")


def _metadata_tsv(features: FeatureSet, path: Path) -> None:
    header = "\t".join(["id", *map(_cell, features.class_names)])
    rows = ("\t".join([_cell(name), *("01"[value] for value in row)]) for name, row in _labelled(features))
    path.write_text("".join(f"{line}\n" for line in (header, *rows)), encoding="utf-8")


def _cell(text: str) -> str:
    """One cell; a spreadsheet would compute what begins like a formula, so that is quoted."""
    return f"'{show(text)}" if text.startswith(("=", "+", "-", "@")) else show(text)


def _labelled(features: FeatureSet) -> zip:
    return zip(features.ids, features.labels.astype(int).tolist(), strict=True)


def _parquet(features: FeatureSet, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(features.features).reshape(-1))
    columns = {
        "id": pa.array(map(utf8, features.ids)),
        "features": pa.FixedSizeListArray.from_arrays(flat, _dim(features)),
    }
    labels = {
        f"label:{utf8(name)}": pa.array(column)
        for name, column in zip(features.class_names, features.labels.T, strict=True)
    }
    table = pa.table({**columns, **labels}).replace_schema_metadata(
        {"imbpipe": json.dumps(_origin(features))}
    )
    with path.open("wb") as file:
        pq.write_table(table, file)


def _h5ad(features: FeatureSet, path: Path) -> None:
    import anndata
    import pandas as pd

    names = list(map(utf8, features.class_names))
    labels = pd.DataFrame(features.labels, index=list(map(utf8, features.ids)), columns=names)
    variables = pd.DataFrame(index=[f"{features.encoder}:{column}" for column in range(_dim(features))])
    origin = {**_origin(features), "spec": json.dumps(features.spec)}
    anndata.AnnData(X=features.features, obs=labels, var=variables, uns={"imbpipe": origin}).write_h5ad(path)


def _safetensors(features: FeatureSet, path: Path) -> None:
    from safetensors.numpy import save

    tensors = {
        "features": np.ascontiguousarray(features.features),
        "labels": np.ascontiguousarray(features.labels),
    }
    names = {"ids": features.ids, "class_names": features.class_names, "origin": _origin(features)}
    path.write_bytes(save(tensors, metadata={name: json.dumps(value) for name, value in names.items()}))


def _dim(features: FeatureSet) -> int:
    return int(features.features.shape[1])


def _always(files: dict[str, Write]) -> Files:
    return lambda features: files


FORMATS: dict[str, Files] = {
    "npy": _always({".npy": _npy, ".labels.npy": _labels_npy, ".json": _names_json}),
    "parquet": _always({".parquet": _parquet}),
    "h5ad": _always({".h5ad": _h5ad}),
    "safetensors": _always({".safetensors": _safetensors}),
    "projector": _always({".vectors.tsv": _vectors_tsv, ".metadata.tsv": _metadata_tsv}),
    "faiss": _always({".vectors.npy": _npy, ".ids.txt": _ids_txt}),
    "clip-retrieval": clip_retrieval_files,
}
"""Endings of the files of each format, and what writes them.

projector: for TensorBoard's embedding projector; an id or class that begins like a formula (=, +, -, @) has
a ' before it. faiss: C-contiguous float32 vectors and their ids, one a line, control characters escaped.
clip-retrieval: a folder; the features brought to length 1 and to float16, as that program keeps them.
"""
