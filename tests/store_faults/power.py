"""Power cut at any moment: what the store did to its folder is recorded, then replayed up to a random point.

Of what was not synced by then, some is there, some is not, some in part: files keep their last synced
bytes, or newer ones, or newer ones with torn sectors; names come and go in any order.
`python -m store_faults.power FOLDER STATES SEED` prints the counts as JSON.
"""

import json
import os
import random
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from imbpipe.cache import disk
from imbpipe.cache.layout import Folder
from store_faults import toy

SPEC = toy.spec_of(dim=16)
SECTOR = 512


@dataclass
class Counts:
    """states: replayed. lost: committed rows, encoded again. errors: at going on. differ: results."""

    states: int = 0
    lost: int = 0
    errors: int = 0
    differ: int = 0


@dataclass
class File:
    """synced: the bytes that a power cut leaves. later: what it held after each write since."""

    synced: bytes = b""
    later: list[bytes] = field(default_factory=list)


class Recorder:
    """Events in the order in which they were done: (what, names or bytes …)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[tuple[Any, ...]] = []
        self._lock = threading.RLock()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch what this process does to files in the folder."""
        patches = [
            mock.patch.object(os, "writev", self._after(os.writev, "write")),
            mock.patch.object(os, "ftruncate", self._after(os.ftruncate, "write")),
            mock.patch.object(os, "fsync", self._after(os.fsync, "sync")),
            mock.patch.object(disk, "sync_data", self._after(disk.sync_data, "sync")),
            mock.patch.object(os, "replace", self._named(os.replace, "rename")),
            mock.patch.object(os, "rename", self._named(os.rename, "rename")),
            mock.patch.object(os, "unlink", self._named(os.unlink, "unlink")),
        ]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()

    def report(self, rows: list[int]) -> None:
        """These rows are committed from here on."""
        self.events.append(("report", tuple(rows)))

    def _after(self, real: Any, what: str) -> Any:
        def done(fd: int, *rest: Any) -> Any:
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
            if path == self.folder:
                result = real(fd, *rest)
                self.events.append(("sync folder",))
                return result
            if path.parent != self.folder:
                return real(fd, *rest)
            with self._lock:
                before = path.read_bytes()
                result = real(fd, *rest)
                self.events.append((what, path.name, before if what == "sync" else path.read_bytes()))
            return result

        return done

    def _named(self, real: Any, what: str) -> Any:
        def done(path: Any, *rest: Any) -> None:
            real(path, *rest)
            if Path(path).parent == self.folder:
                self.events.append((what, Path(path).name, *(Path(name).name for name in rest)))

        return done


class Disk:
    """What is durable of a folder after some events, and what may be."""

    def __init__(self) -> None:
        self.now: dict[str, File] = {}
        self.synced: dict[str, File] = {}
        self.pending: list[tuple[Any, ...]] = []
        self.reported: set[int] = set()

    def do(self, event: tuple[Any, ...]) -> None:
        """Apply one recorded event."""
        what, *rest = event
        if what == "report":
            self.reported |= set(rest[0])
        elif what == "sync folder":
            self.synced, self.pending = dict(self.now), []
        elif what in ("write", "sync"):
            self._data(what, *rest)
        else:
            change(self.now, event)
            self.pending.append(event)

    def _data(self, what: str, name: str, data: bytes) -> None:
        if name not in self.now:
            self.now[name] = File()
            self.pending.append(("create", name, self.now[name]))
        file = self.now[name]
        if what == "sync":
            file.synced, file.later = data, []
        else:
            file.later.append(data)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """One of the folders that a power cut may leave here."""
        names = dict(self.synced)
        for event in self.pending:
            if chance.random() < 0.5:
                change(names, event)
        return {name: contents(file, chance) for name, file in names.items()}


def change(names: dict[str, File], event: tuple[Any, ...]) -> None:
    """Create, rename or unlink in a folder's names."""
    what, name, *rest = event
    if what == "create":
        names.setdefault(name, rest[0])
    elif what == "unlink":
        names.pop(name, None)
    elif name in names:
        names[rest[0]] = names.pop(name)


def contents(file: File, chance: random.Random) -> bytes:
    """Its synced bytes, or those after a later write, whole, cut short, or with sectors that never came."""
    if not file.later or chance.random() < 0.3:
        return file.synced
    data = bytearray(chance.choice(file.later))
    if chance.random() < 0.5:
        del data[
            chance.randrange(len(file.synced), len(data) + 1) if len(data) > len(file.synced) else len(data) :
        ]
    for start in range(len(file.synced), len(data), SECTOR):
        if chance.random() < 0.3:
            data[start : start + SECTOR] = bytes(len(data[start : start + SECTOR]))
    return bytes(data)


def replay(folder: Path, states: int, seed: int) -> Counts:
    """Record an extraction, a change and another extraction; cut the power in the middle, `states` times."""
    chance = random.Random(seed)
    whole = toy.draw(folder / "images", 64)
    part = toy.rows_of(whole, range(48))
    expected = toy.unbroken(folder / "unbroken", whole, SPEC)
    root = folder / "recorded"
    place = Folder.of(root, whole.name, toy.ENCODER, SPEC)
    disk.make_folder(place.path)
    recorder = Recorder(place.path)
    with recorder.recording():
        for dataset in (part, whole):
            toy.extract(
                root,
                dataset,
                SPEC,
                commit_every=2,
                seen=lambda sink, rows: recorder.report(rows[: sink.committed]),
            )
            toy.pack_here(root, dataset, SPEC)
    counts = Counts()
    for _ in range(states):
        _go_on(folder / "after", recorder.events, whole, expected, chance, counts)
    return counts


def _go_on(
    root: Path,
    events: list[Any],
    dataset: toy.Dataset,
    expected: bytes,
    chance: random.Random,
    counts: Counts,
) -> None:
    end = chance.randrange(len(events) + 1)
    state = Disk()
    for event in events[:end]:
        state.do(event)
    place = Folder.of(root, dataset.name, toy.ENCODER, SPEC)
    shutil.rmtree(root, ignore_errors=True)
    place.path.mkdir(parents=True)
    for name, data in state.cut(chance).items():
        (place.path / name).write_bytes(data)
    counts.states += 1
    try:
        again = toy.extract(root, dataset, SPEC)
        counts.lost += len(state.reported & set(again))
        counts.differ += toy.pack_here(root, dataset, SPEC).read_bytes() != expected
    except Exception:
        counts.errors += 1


if __name__ == "__main__":
    print(json.dumps(asdict(replay(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
