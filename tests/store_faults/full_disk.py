"""Extraction and packing on a disk that is full after F bytes, for many F.

`python -m store_faults.full_disk FOLDER STEP` prints the counts as JSON.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from imbpipe.cache.inventory import stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.errors import StoreError
from store_faults import toy

SIZE = 1 << 20
SPEC = toy.spec_of(dim=64)
ROWS = 160


@dataclass
class Counts:
    """runs: with F bytes free. full: ended with the message. unclear: with another one, or a traceback.

    lost: committed rows. differ: features.h5 that are not those of a disk with room.
    """

    runs: int = 0
    full: int = 0
    unclear: int = 0
    signals: int = 0
    lost: int = 0
    differ: int = 0


@contextmanager
def small_disk(folder: Path, size: int = SIZE) -> Iterator[Path]:
    """A tmpfs of `size` bytes mounted at `folder`. Raises OSError: not allowed here."""
    folder.mkdir(parents=True)
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(options, capture_output=True, check=False).returncode:
        raise OSError("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_up(folder: Path, step: int) -> Counts:
    """Run with 0, step, 2 step … bytes free until a run finishes; then each again with room enough."""
    dataset = toy.draw(folder / "images", ROWS)
    expected = toy.unbroken(folder / "roomy", dataset, SPEC)
    counts = Counts()
    with small_disk(folder / "small") as disk:
        free = 0
        while _run_full(disk, free, dataset, expected, counts):
            free += step
    return counts


def _run_full(disk: Path, free: int, dataset: toy.Dataset, expected: bytes, counts: Counts) -> bool:
    """Whether the disk was too small."""
    root, filler = disk / "cache", disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free_bytes(disk) - free)
    committed: set[int] = set()
    full = True
    counts.runs += 1
    try:
        toy.extract(
            root,
            dataset,
            SPEC,
            commit_every=3,
            seen=lambda sink, rows: committed.update(rows[: sink.committed]),
        )
        toy.FeatureStore(root).pack(dataset, toy.ENCODER, SPEC)
        full = False
    except StoreError as error:
        counts.full += "the disk is full" in error.fact and bool(error.remedy)
        counts.unclear += "the disk is full" not in error.fact
        counts.signals += "killed" in error.fact
    except Exception:
        counts.unclear += 1
    filler.unlink()
    folder = Folder.of(root, dataset.name, toy.ENCODER, SPEC)
    if full and folder.plan.exists():
        stock = stored_inventory(folder, SPEC)
        counts.lost += len(
            committed - set(() if stock is None else np.flatnonzero(stock.where >= 0).tolist())
        )
    if full:
        toy.extract(root, dataset, SPEC)
        toy.pack_here(root, dataset, SPEC)
    counts.differ += folder.features.read_bytes() != expected
    shutil.rmtree(root)
    return full


def _free_bytes(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


if __name__ == "__main__":
    print(json.dumps(asdict(fill_up(Path(sys.argv[1]), int(sys.argv[2])))))
