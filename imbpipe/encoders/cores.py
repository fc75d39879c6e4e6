"""How many CPU cores this process may use."""

import os


def usable_cores() -> int:
    """At least 1; fewer than the machine has where `taskset` or a scheduler says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
