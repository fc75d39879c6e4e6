"""How many CPU cores this process may use."""

import os

_most = 0


def usable_cores() -> int:
    """At least 1; fewer than the machine has where `taskset`, a scheduler or `take_cores` says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _most or cores)


def take_cores(count: int) -> None:
    """Use no more than `count` cores from now on: others compute on this machine too."""
    global _most
    _most = count
