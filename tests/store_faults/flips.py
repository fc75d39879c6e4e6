"""Every bit of a file flipped, one at a time, and the file read.

`python -m store_faults.flips KIND FOLDER FIRST STEP` flips every STEP-th bit from FIRST on. A child does
the reading and reports each result; a parent that hears nothing for a while counts a hang, kills the child
and goes on behind that bit. It prints the counts as JSON.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from imbpipe.cache.entries import read_entry
from imbpipe.cache.inventory import take_stock
from imbpipe.cache.journals import read_journals
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import read_plan
from imbpipe.cache.reader import read_features
from imbpipe.cache.spec import row_bytes
from imbpipe.errors import ImbpipeError
from store_faults import toy

PATIENCE = 20.0
ROWS, DIM = 5, 4
DETECTED, HARMLESS, SILENT, UNEXPLAINED, HANG = "detected", "harmless", "silent", "unexplained", "hang"


@dataclass
class Counts:
    """What became of the flips. unexplained: an error, but none that a user understands."""

    flips: int = 0
    detected: int = 0
    harmless: int = 0
    silent: int = 0
    unexplained: int = 0
    hang: int = 0
    first_bad: int = -1

    def add(self, bit: int, outcome: str) -> None:
        """Count one flip."""
        self.flips += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome not in (DETECTED, HARMLESS) and self.first_bad < 0:
            self.first_bad = bit


def flip_all(path: Path, first: int, step: int, judge: Callable[[], str]) -> Counts:
    """Flip every `step`-th bit of the file at `path` from bit `first` on; judge what reading it gives."""
    counts = Counts()
    bits = range(first, 8 * path.stat().st_size, step)
    original = path.read_bytes()
    while counts.flips < len(bits):
        before = counts.flips
        for bit, outcome in _outcomes(path, original, bits[before:], judge):
            counts.add(bit, outcome)
        if counts.flips < len(bits):
            counts.add(bits[counts.flips], HANG)
    path.chmod(0o644)
    path.write_bytes(original)
    return counts


def _outcomes(
    path: Path, original: bytes, bits: range, judge: Callable[[], str]
) -> Iterator[tuple[int, str]]:
    """Of each bit, until the child hangs or dies."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _flip(path, original, bits, judge, write_end)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb", buffering=0) as answers:
        for bit in bits:
            ready, _, _ = select.select([answers], [], [], PATIENCE)
            letter = answers.read(1) if ready else b""
            if not letter:
                break
            yield bit, {b"d": DETECTED, b"h": HARMLESS, b"s": SILENT, b"u": UNEXPLAINED}[letter]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _flip(path: Path, original: bytes, bits: range, judge: Callable[[], str], answers: int) -> None:
    path.chmod(0o644)
    path.write_bytes(original)
    with path.open("r+b", buffering=0) as file:
        for bit in bits:
            byte = bit // 8
            file.seek(byte)
            file.write(bytes([original[byte] ^ (1 << (bit % 8))]))
            try:
                outcome = judge()
            except ImbpipeError:
                outcome = DETECTED
            except Exception:
                outcome = UNEXPLAINED
            file.seek(byte)
            file.write(original[byte : byte + 1])
            os.write(answers, outcome[:1].encode())


def make(folder: Path) -> tuple[Folder, dict[str, Any]]:
    """A folder with journals (two batches and a refusal) and, beside them, features.h5."""
    spec = toy.spec_of(DIM)
    dataset = toy.draw(folder / "images", ROWS)
    dataset.images[1].write_bytes(b"broken")
    root = folder / "cache"
    toy.extract(root, dataset, spec, batch_size=3)
    place = Folder.of(root, dataset.name, toy.ENCODER, spec)
    journal = place.part(0).read_bytes()
    toy.pack_here(root, dataset, spec)
    place.part(0).write_bytes(journal)
    return place, spec


def judge_reader(place: Folder) -> Callable[[], str]:
    """Our reader gives what was written or an error of ours."""
    right = read_features(place.features)

    def judge() -> str:
        found = read_features(place.features)
        same = np.array_equal(found.features, right.features) and np.array_equal(found.labels, right.labels)
        facts = ("ids", "class_names", "task", "dataset", "encoder", "spec", "digest", "quarantined")
        return HARMLESS if same and all(getattr(found, f) == getattr(right, f) for f in facts) else SILENT

    return judge


def judge_plain(place: Folder) -> Callable[[], str]:
    """Plain h5py gives what was written or any error at all."""

    def read() -> list[bytes]:
        with h5py.File(place.features, "r", locking=False) as file:
            arrays = [file[name][...].tobytes() for name in ("features", "ids", "labels", "class_names")]
            return [*arrays, bytes(file.attrs["spec"]), bytes(file.attrs["digest"])]

    right = read()

    def judge() -> str:
        try:
            return HARMLESS if read() == right else SILENT
        except Exception:
            return DETECTED

    return judge


def judge_journal(place: Folder, spec: dict[str, Any]) -> Callable[[], str]:
    """Each image has its right row, its right refusal, or none."""
    plan = read_plan(place.plan)
    assert plan is not None
    nothing = np.zeros(len(plan), dtype=bool)
    plan = replace(plan, known=nothing, packed=nothing, quarantined={})
    width = row_bytes(spec)

    def rows() -> dict[str, Any]:
        stock = take_stock(plan, read_journals(place, spec))
        data = [path.read_bytes() for path in stock.journals.paths]
        found: dict[str, Any] = dict(stock.quarantined)
        for name, row in zip(plan.ids, stock.where.tolist(), strict=True):
            if row >= 0:
                start = stock.journals.rows.offset[row]
                found[name] = data[stock.journals.rows.file[row]][start : start + width]
        return found

    right = rows()

    def judge() -> str:
        found = rows()
        if found == right:
            return HARMLESS
        return DETECTED if all(right.get(name) == value for name, value in found.items()) else SILENT

    return judge


def judge_description(place: Folder, spec: dict[str, Any]) -> Callable[[], str]:
    """A damaged SPEC.json or PLAN.json is told or made again; it never changes what is read."""

    def judge() -> str:
        entry = read_entry(place.path)
        plan = read_plan(place.plan)
        if entry.problem or plan is None:
            return DETECTED
        same = (entry.spec, entry.dataset, entry.encoder, entry.rows) == (spec, "toys", toy.ENCODER, ROWS - 1)
        return HARMLESS if same and plan.to_json() == place.plan.read_bytes() else SILENT

    return judge


if __name__ == "__main__":
    kind, first, step = sys.argv[1], int(sys.argv[3]), int(sys.argv[4])
    place, spec = make(Path(sys.argv[2]))
    judges = {
        "reader": (place.features, judge_reader(place)),
        "plain": (place.features, judge_plain(place)),
        "journal": (place.part(0), judge_journal(place, spec)),
        "plan": (place.plan, judge_description(place, spec)),
        "spec": (place.spec, judge_description(place, spec)),
    }
    print(json.dumps(asdict(flip_all(judges[kind][0], first, step, judges[kind][1]))))
