"""A folder of files that a program makes: there as a whole, or not there."""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any

from imbpipe.errors import DatasetError
from imbpipe.types import Progress

MANIFEST = ".drawn.json"

REMEDY = "Move it away or delete it, then run the same command again: it is drawn anew"

STALE_SECONDS = 3600


def provide(
    folder: Path,
    recipe: Mapping[str, Any],
    files: Mapping[str, Callable[[], bytes]],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Make `folder` with these files, unless it is there already; it appears only when complete.

    recipe: what decides the files, as JSON values; kept beside them with a SHA-256 over it and the
        names and sizes of the files.
    files: how to make each, by its path in the folder.
    workers: threads; None: one a core, up to 8 (drawing spends most of its time outside Python's lock).
    Raises DatasetError: the folder is there and holds something else, or it cannot be written.
    """
    if not folder.exists():
        try:
            _make(folder, recipe, files, workers, progress)
        except OSError as error:
            fact = f"cannot draw {folder}: {error.strerror or error}"
            raise DatasetError(fact, "Free space or give another --root") from None
    _check(folder, recipe, files)


def _make(
    folder: Path,
    recipe: Mapping[str, Any],
    files: Mapping[str, Callable[[], bytes]],
    workers: int | None,
    progress: Progress | None,
) -> None:
    _sweep(folder)
    part = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}.part")
    try:
        for parent in {(part / name).parent for name in files}:
            parent.mkdir(parents=True, exist_ok=True)
        _write(part, files, workers or min(os.cpu_count() or 1, 8), progress)
        manifest = {**recipe, "sha256": _digest(part, recipe, files)}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        _appear(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(
    part: Path, files: Mapping[str, Callable[[], bytes]], workers: int, progress: Progress | None
) -> None:
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(lambda path, make: path.write_bytes(make()), part / f, files[f]) for f in files]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                if progress is not None:
                    progress(done, len(files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _appear(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        if not folder.exists():  # else another process was faster
            raise


def _sweep(folder: Path) -> None:
    """Remove what a killed drawing left behind long ago."""
    for part in folder.parent.glob(f".{folder.name}-*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


def _check(folder: Path, recipe: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        found = manifest.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError):
        raise DatasetError(f"{folder} is not a folder drawn by this program: no {MANIFEST}", REMEDY) from None
    if manifest != recipe:
        raise DatasetError(f"{folder} was drawn as {manifest}, not as {dict(recipe)}", REMEDY)
    try:
        same = found == _digest(folder, recipe, files)
    except OSError as error:
        raise DatasetError(f"{folder} has lost {Path(error.filename).name}", REMEDY) from None
    if not same:
        raise DatasetError(f"files in {folder} have changed since they were drawn", REMEDY)


def _digest(folder: Path, recipe: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    sizes = [(name, (folder / name).stat().st_size) for name in files]
    return hashlib.sha256(json.dumps([dict(recipe), sizes], sort_keys=True).encode()).hexdigest()
