"""A data set, a store, and the command that encodes one into the other."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from PIL import Image

from cluster.telling import Telling, offer
from imbpipe.cache.fill import fill
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.load import load_dataset

BATCH = 4


@dataclass
class Setting:
    """A folder with images of different colours; `told` is what was encoded, a line a batch."""

    folder: Path
    images: int
    env: dict[str, str] = field(default_factory=dict)
    begun: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        for row in range(self.images):
            path = self.folder / "photos" / "ab"[row % 2] / f"{row:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (row % 250 + 1, row // 250 + 1, 0)).save(path)
        self.env = {
            **os.environ,
            "PYTHONPATH": offer(self.folder),
            "TOLD": str(self.folder / "told"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }

    @property
    def hold(self) -> Path:
        """As long as this file is there, whoever encoded a batch waits."""
        return Path(f"{self.env['TOLD']}.hold")

    def begin(self, *options: object) -> "subprocess.Popen[str]":
        """`imbpipe extract` in a process of its own."""
        words = ["--dataset", "photos", "--encoder", "telling", "--batch-size", BATCH, *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "imbpipe", "extract", *map(str, words)],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.begun.append(process)
        return process

    def end(self) -> None:
        """Let no process outlive the test."""
        for process in self.begun:
            process.kill()
            process.communicate()

    def told(self) -> list[tuple[int, tuple[str, ...]]]:
        """(process, colours) of each batch, in the order in which they were encoded."""
        path = Path(self.env["TOLD"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(first), tuple(rest)) for first, *rest in map(str.split, lines)]

    def features(self, cache: str = "cache") -> bytes:
        """The result, byte by byte."""
        (path,) = (self.folder / cache).glob("photos/*/features.h5")
        return path.read_bytes()

    def encode_here(self, cache: str) -> None:
        """What the local engine does, in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOLD", str(self.folder / "told-here"))
            patch.setattr("cluster.telling.SECONDS", 0.0)
            patch.chdir(self.folder)
            fill(FeatureStore(Path(cache)), load_dataset("photos"), Telling(), batch_size=BATCH)


def wait_until(true: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 60.0) -> None:
    """Raises AssertionError: it does not become true, or the process ends before."""
    deadline = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def two_nodes(setting: Setting) -> Iterator[tuple[str, int]]:
    """A cluster for as long as the context: its address, and the process of the second node."""
    nodes = subprocess.Popen(
        [sys.executable, "-m", "cluster.nodes"],
        env=setting.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert nodes.stdin is not None
    assert nodes.stdout is not None
    try:
        where = json.loads(nodes.stdout.readline())
        yield where["address"], where["raylet"]
    finally:
        left = psutil.Process(nodes.pid).children(recursive=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            nodes.communicate(timeout=10)
        nodes.kill()
        nodes.communicate()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def family(raylet: int) -> list[psutil.Process]:
    """A node and all of its workers."""
    node = psutil.Process(raylet)
    return [node, *node.children(recursive=True)]


def kill_node(raylet: int) -> set[int]:
    """End a node and all of its workers at once; their process ids."""
    processes = family(raylet)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    return {process.pid for process in processes}
