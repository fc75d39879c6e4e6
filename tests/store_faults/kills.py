"""Extraction and packing killed with SIGKILL at random moments.

`python -m store_faults.kills FOLDER KILLS KILLS_IN_PACK SEED`: one process without threads
forks the victims, so that a thousand kills take about a minute. It prints the counts as JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

from imbpipe.cache import writer
from imbpipe.cache.inventory import stored_inventory
from imbpipe.cache.layout import Folder
from store_faults import toy

ROWS, WORKERS = 320, 2
SPEC = toy.spec_of(dim=32)


@dataclass
class Counts:
    """committed: rows reported as safe before the last process ended. lost, wrong, twice: of them.

    differ: features.h5 that are not those of an unbroken run. steps: a person would have had to act.
    """

    kills: int = 0
    kills_in_pack: int = 0
    runs: int = 0
    committed: int = 0
    lost: int = 0
    wrong: int = 0
    twice: int = 0
    differ: int = 0
    steps: int = 0


class Storm:
    """Runs until enough processes were killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        writer.SYNC_BATCHES = 2
        self.random = random.Random(seed)
        self.folder = folder
        self.dataset = toy.draw(folder / "images", ROWS)
        self.expected = toy.unbroken(folder / "unbroken", self.dataset, SPEC)
        self.counts = Counts()

    def run(self, kills: int, kills_in_pack: int) -> Counts:
        """Extract and pack again and again, killing both."""
        while self.counts.kills < kills or self.counts.kills_in_pack < kills_in_pack:
            root = self.folder / f"cache{self.counts.runs}"
            (root / "reports").mkdir(parents=True)
            self._extract(root, kills)
            self._pack(root, kills_in_pack)
            shutil.rmtree(root)
            self.counts.runs += 1
        return self.counts

    def _extract(self, root: Path, kills: int) -> None:
        while True:
            victims = [fork(lambda worker=worker: self._work(root, worker)) for worker in range(WORKERS)]
            spare = self.counts.kills >= kills
            ends = [wait(victim, None if spare else self.random.uniform(0, 0.06)) for victim in victims]
            self.counts.kills += ends.count(-signal.SIGKILL)
            self.counts.steps += sum(end not in (0, -signal.SIGKILL) for end in ends)
            self._check(root)
            if ends == [0] * WORKERS:
                self.counts.committed += len(self._reports(root)[0])
                return

    def _work(self, root: Path, worker: int) -> None:
        """Extract, and report after each batch which rows were encoded and which are committed."""
        fd = os.open(root / "reports" / str(worker), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def report(sink: writer.Writer, rows: list[int]) -> None:
            os.write(fd, (json.dumps([rows, sink.committed]) + "\n").encode())

        toy.extract(root, self.dataset, SPEC, pause=0.002, seen=report, worker=worker, workers=WORKERS)

    def _check(self, root: Path) -> None:
        """Every row ever reported as committed is there; none of them was encoded again."""
        committed, again = self._reports(root)
        folder = Folder.of(root, self.dataset.name, toy.ENCODER, SPEC)
        stock = stored_inventory(folder, SPEC) if folder.plan.exists() else None
        there = set() if stock is None else set(np.flatnonzero(stock.where >= 0).tolist())
        self.counts.lost += len(committed - there)
        self.counts.twice += again

    def _reports(self, root: Path) -> tuple[set[int], int]:
        """Rows reported as committed, and how many of them were encoded again later."""
        committed: set[int] = set()
        again = 0
        for path in (root / "reports").iterdir():
            session: list[int] = []
            mine: set[int] = set()
            for line in path.read_text().splitlines():
                rows, count = json.loads(line)
                if rows[: len(session)] != session:
                    again += len(mine & set(rows))
                session = rows
                mine |= set(rows[:count])
            committed |= mine
        return committed, again

    def _pack(self, root: Path, kills: int) -> None:
        while True:
            victim = fork(lambda: toy.pack_here(root, self.dataset, SPEC))
            spare = self.counts.kills_in_pack >= kills
            end = wait(victim, None if spare else self.random.uniform(0, 0.03))
            self.counts.kills_in_pack += end == -signal.SIGKILL
            self.counts.steps += end not in (0, -signal.SIGKILL)
            if end == 0:
                break
        found = Folder.of(root, self.dataset.name, toy.ENCODER, SPEC).features.read_bytes()
        self.counts.differ += found != self.expected
        self.counts.wrong += self._wrong_rows(root)

    def _wrong_rows(self, root: Path) -> int:
        features = toy.FeatureStore(root).load(self.dataset.name, toy.ENCODER)
        right = toy.all_features(self.dataset, SPEC)
        return int((features.features != right).any(axis=1).sum())


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a child; its process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def wait(child: int, patience: float | None) -> int:
    """Let the child live for `patience` seconds, then kill it; its status, or minus the signal."""
    if patience is not None:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.0005)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    toy.without_syncing(pytest.MonkeyPatch())
    kills, in_pack, seed = map(int, sys.argv[2:])
    print(json.dumps(asdict(Storm(Path(sys.argv[1]), seed).run(kills, in_pack))))
