"""How much memory a process and its children take (Linux)."""

import threading
from pathlib import Path

import psutil

EVERY = 0.5
"""Seconds between two looks: each costs the process that is looked at some milliseconds."""


class MemoryWatch:
    """A thread that looks at process `pid` and its children until it is stopped.

    megabytes: the most that all of them together took, pages they share counted once.
    own, child: the most that the process, and any one child, held resident at a time.
    """

    def __init__(self, pid: int) -> None:
        self.megabytes = self.own = self.child = 0.0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """What was seen."""
        self._done.set()
        self._thread.join()
        return {"megabytes": self.megabytes, "own_megabytes": self.own, "child_megabytes": self.child}

    def _run(self) -> None:
        while not self._done.wait(EVERY):
            try:
                children = [child.pid for child in self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            pids = [self._process.pid, *children]
            self.megabytes = max(self.megabytes, sum(_value(pid, "smaps_rollup", "Pss:") for pid in pids))
            self.own = max(self.own, _value(pids[0], "status", "VmHWM:"))
            self.child = max([self.child, *(_value(pid, "status", "VmHWM:") for pid in children)])


def _value(pid: int, file: str, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
