"""Every bit of a file flipped, or its sectors torn, one damage at a time, and the file read.

`python -m store_faults.flips KIND FOLDER FIRST STEP` does every STEP-th damage from FIRST on: number b flips
bit b, or of KIND torn is what a random generator seeded with b does to sectors. A child does the reading and
reports each result; a parent that hears nothing for a while counts a hang, kills the child and goes on
behind that damage. It prints the counts as JSON.
"""

import json
import os
import random
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
TORN, TORN_ROWS = 4000, 300
SECTORS = (512, 4096)
Damage = Callable[[bytearray, int], None]
DETECTED, HARMLESS, SILENT, UNEXPLAINED, HANG = "detected", "harmless", "silent", "unexplained", "hang"


@dataclass
class Counts:
    """What became of the damages. unexplained: an error, but none that a user understands."""

    flips: int = 0
    detected: int = 0
    harmless: int = 0
    silent: int = 0
    unexplained: int = 0
    hang: int = 0
    first_bad: int = -1

    def add(self, number: int, outcome: str) -> None:
        """Count one damage."""
        self.flips += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome not in (DETECTED, HARMLESS) and self.first_bad < 0:
            self.first_bad = number


def flip(data: bytearray, bit: int) -> None:
    """One bit."""
    data[bit // 8] ^= 1 << bit % 8


def tear(data: bytearray, seed: int) -> None:
    """A sector that was never written, holds something else or another one's bytes; or a file cut short."""
    chance = random.Random(seed)
    size = chance.choice(SECTORS)
    one, other = (
        slice(place * size, (place + 1) * size) for place in chance.choices(range(len(data) // size), k=2)
    )
    kind = chance.randrange(4)
    if kind == 0:
        data[one] = bytes(size)
    elif kind == 1:
        data[one] = chance.randbytes(size)
    elif kind == 2:
        data[one], data[other] = data[other], data[one]
    else:
        del data[chance.randrange(len(data)) :]


def damage_all(path: Path, numbers: range, damage: Damage, judge: Callable[[], str]) -> Counts:
    """Do each damage alone to the file at `path`; judge what reading it gives."""
    counts = Counts()
    original = path.read_bytes()
    while counts.flips < len(numbers):
        before = counts.flips
        for number, outcome in _outcomes(path, original, numbers[before:], damage, judge):
            counts.add(number, outcome)
        if counts.flips < len(numbers):
            counts.add(numbers[counts.flips], HANG)
    path.chmod(0o644)
    path.write_bytes(original)
    return counts


def _outcomes(
    path: Path, original: bytes, numbers: range, damage: Damage, judge: Callable[[], str]
) -> Iterator[tuple[int, str]]:
    """Of each damage, until the child hangs or dies."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _damage(path, original, numbers, damage, judge, write_end)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb", buffering=0) as answers:
        for number in numbers:
            ready, _, _ = select.select([answers], [], [], PATIENCE)
            letter = answers.read(1) if ready else b""
            if not letter:
                break
            yield number, {b"d": DETECTED, b"h": HARMLESS, b"s": SILENT, b"u": UNEXPLAINED}[letter]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _damage(
    path: Path, original: bytes, numbers: range, damage: Damage, judge: Callable[[], str], answers: int
) -> None:
    path.chmod(0o644)
    for number in numbers:
        changed = bytearray(original)
        damage(changed, number)
        path.write_bytes(changed)
        try:
            outcome = judge()
        except ImbpipeError:
            outcome = DETECTED
        except Exception:
            outcome = UNEXPLAINED
        os.write(answers, outcome[:1].encode())


def make(folder: Path, rows: int = ROWS) -> tuple[Folder, dict[str, Any]]:
    """A folder with journals (two batches and a refusal) and, beside them, features.h5."""
    spec = toy.spec_of(DIM)
    dataset = toy.draw(folder / "images", rows)
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
    place, spec = make(Path(sys.argv[2]), TORN_ROWS if kind == "torn" else ROWS)
    judges = {
        "reader": (place.features, judge_reader(place)),
        "plain": (place.features, judge_plain(place)),
        "torn": (place.features, judge_reader(place)),
        "journal": (place.part(0), judge_journal(place, spec)),
        "plan": (place.plan, judge_description(place, spec)),
        "spec": (place.spec, judge_description(place, spec)),
    }
    path, judge = judges[kind]
    end, damage = (TORN, tear) if kind == "torn" else (8 * path.stat().st_size, flip)
    print(json.dumps(asdict(damage_all(path, range(first, end, step), damage, judge))))
