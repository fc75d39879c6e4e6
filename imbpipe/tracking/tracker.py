"""What a tracking program is told, and the registry of those that are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imbpipe.experiments.material import Material
from imbpipe.registry import Registry
from imbpipe.types import Progress

Value = str | float


@dataclass(frozen=True)
class Record:
    """One finished run, or one setting with what its runs say together.

    key: the same for the same numbers, so that nothing is logged twice. name: for people.
    setting: the key of the setting that a run belongs to; empty for a setting itself.
    params: what was chosen. metrics: what came of it, `ap/CLASS`, `ap_low_frequency`, …; what has no value
    is left out. tags: where it comes from. finished: seconds since 1970.
    """

    key: str
    name: str
    setting: str
    params: Mapping[str, Value]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    finished: float


@dataclass(frozen=True, eq=False)
class Tracked:
    """All records of one data set by one encoder, each setting before its runs."""

    dataset: str
    encoder: str
    records: Sequence[Record]
    material: Material


class Tracker(Protocol):
    """Where records go.

    place: in words and with the command that shows it.
    """

    place: str

    def log(self, tracked: Tracked, progress: Progress | None = None) -> int:
        """Send what is not there yet, bring settings up to date; how many runs were new.

        Raises ResultsError: the program refuses or does not answer; the same call goes on later.
        """


TRACKERS: Registry[Callable[[Path], Tracker]] = Registry("tracker", package="imbpipe.tracking")
"""Name -> function of the cache folder that makes a Tracker.

Raises ResultsError: its library is not installed, nobody answers.
"""
