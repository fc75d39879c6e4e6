"""`--track`: tell a tracking program of finished runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imbpipe.cli.output import bar, say

if TYPE_CHECKING:
    from imbpipe.experiments.grid import Grid
    from imbpipe.experiments.results import ResultStore
    from imbpipe.tracking.records import Differences

Track = Callable[[Sequence["Grid"], "ResultStore", "Differences"], None]


def open_tracker(name: str | None, cache: Path) -> Track:
    """What logs finished grids; nothing where no name is given.

    Raises UnknownNameError; ResultsError: its library is not installed, nobody answers.
    """
    if name is None:
        return lambda grids, store, differences: None
    from imbpipe.tracking.tracker import TRACKERS

    tracker = TRACKERS[name](cache)

    def track(grids: Sequence["Grid"], store: "ResultStore", differences: "Differences") -> None:
        from imbpipe.tracking.records import tracked

        found = tracked(grids, store, differences)
        with bar("logging", "records") as progress:
            new = tracker.log(found, progress)
        runs = sum(bool(record.setting) for record in found.records)
        say(f"Logged {new} runs, {runs - new} were there: {tracker.place}")

    return track
