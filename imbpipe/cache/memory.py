"""How much memory there is for features."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
FILES = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
"""A control group's limit and what it uses, in version 2 and version 1; containers and SLURM set them."""


def room_for_features() -> int:
    """Half of the bytes that are available to this process: planning may copy what it trains on."""
    import psutil

    return max(0, min([psutil.virtual_memory().available, *_left_by_groups()])) // 2


def _left_by_groups() -> Iterator[int]:
    for folder in _groups():
        for limit, used in FILES:
            with suppress(OSError, ValueError):  # no such file, or no limit ("max")
                yield int((folder / limit).read_text()) - int((folder / used).read_text())


def _groups() -> Iterator[Path]:
    """Folders of the groups that may limit this process; inside a container they may lie at the top."""
    yield from (CGROUPS, CGROUPS / "memory")
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                yield CGROUPS / controllers / path.lstrip("/")
