"""Remove what nothing needs any more."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imbpipe.cache import disk
from imbpipe.cache.entries import Entry, folders, read_entry
from imbpipe.cache.layout import Folder


@dataclass(frozen=True)
class Collected:
    """paths: what was removed, or would be. bytes: how much room that makes. busy: left alone, in use."""

    paths: tuple[Path, ...]
    bytes: int
    busy: tuple[Path, ...]


def collect(root: Path, *, remove: Sequence[Entry] = (), dry_run: bool = False) -> Collected:
    """Remove left-over temporary files, files that repair set aside, and the journals of complete features.

    remove: also these entries, whole. dry_run: remove nothing, only say what would go.
    Raises StoreError: another process holds a folder for a minute.
    """
    gone: list[Path] = []
    busy: list[Path] = []
    size = 0
    whole = {entry.path for entry in remove}
    for path in folders(root):
        folder = Folder(path)
        with folder.locked():
            in_use = [journal for journal in folder.journals() if not disk.is_idle(journal)]
            busy += in_use
            if path in whole:
                found = [] if in_use else [path]
            else:
                found = [file for file in _needless(folder) if file not in in_use]
            gone += found
            size += sum(map(_size, found))
            if not dry_run:
                _remove(found)
    return Collected(tuple(gone), size, tuple(busy))


def _needless(folder: Folder) -> list[Path]:
    entry = read_entry(folder.path)
    packed = entry.complete and entry.packed == entry.rows
    return [
        *folder.temporaries(),
        *sorted(folder.path.glob("*.aside-*")),
        *(folder.journals() if packed else []),
    ]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with disk.explained(path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            disk.sync_folder(path.parent)
