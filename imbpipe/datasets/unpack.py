"""Images that lie inside a data set's own files, as files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import DatasetError

MARK = ".fingerprint"
BATCH_ROWS = 64


def unpacked(
    rows: Any,
    column: str,
    files: Sequence[str],
    names: Sequence[str],
    folder: Path,
    options: ReadOptions,
) -> list[Path]:
    """(n,) where each image lies: at its own path, or in `folder`, where its bytes are then written.

    rows: datasets.Dataset. files, names: n, where each image lay when the data set was made, and what it is
    called. Nothing is written without `options.images_needed`, nor a second time while the fingerprint that
    the library gives the rows stays the same. A file whose bytes are the same keeps its time, so that
    nothing is encoded again.
    Raises DatasetError: the disk refuses.
    """
    import pyarrow.compute as pc

    images = rows.select_columns([column]).with_format("arrow")[:][column]
    outside = pc.is_null(pc.struct_field(images, "bytes")).to_pylist()
    paths = [
        Path(file) if lies_there and file else folder / own
        for lies_there, file, own in zip(outside, files, names, strict=True)
    ]
    if options.images_needed and not all(outside):
        try:
            _write(rows, column, paths, folder, options)
        except OSError as error:
            raise DatasetError(
                f"cannot unpack images into {folder}: {error.strerror}", "Free space, or name another --root"
            ) from None
    return paths


def _write(rows: Any, column: str, paths: list[Path], place: Path, options: ReadOptions) -> None:
    mark = place / MARK
    fingerprint = f"{rows._fingerprint} {column} {len(rows)}"
    if mark.is_file() and mark.read_text() == fingerprint:
        return
    place.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    done = 0
    for batch in rows.select_columns([column]).with_format("arrow").iter(batch_size=BATCH_ROWS):
        for image in batch[column].to_pylist():
            if image and image["bytes"] is not None:
                _write_changed(paths[done], image["bytes"])
            done += 1
        if options.progress is not None:
            options.progress(done, len(rows))
    mark.write_text(fingerprint)


def _write_changed(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
