"""What grids miss, trained and kept: their runs side by side, so that no core waits for the longest."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from imbpipe.cache.rates import Rates, training
from imbpipe.experiments.results import ResultStore
from imbpipe.types import Progress

if TYPE_CHECKING:
    from imbpipe.experiments.grid import Grid


def train_grids(
    grids: Sequence["Grid"], store: ResultStore, *, device: str = "auto", progress: Progress | None = None
) -> int:
    """Train and keep what is missing; returns the number of runs trained.

    grids: on the same features, by the same protocol; as many at a time as there are cores. Runs are kept
    as they finish, so an interrupted call goes on where it stopped.
    """
    missing = [(grid, cells) for grid in grids if (cells := grid.missing(store))]
    total, done = sum(len(cells) for _, cells in missing), 0
    at_a_time = os.cpu_count() or 1
    for start in range(0, len(missing), at_a_time):
        part = missing[start : start + at_a_time]
        told = None if progress is None else _from(done, total, progress)
        started = time.monotonic()
        _train(part, store, device, told)
        units = sum(grid.units(len(cells)) for grid, cells in part)
        work = training(device, part[0][0].protocol.head.kind)
        Rates(store.root).note(work, units, time.monotonic() - started)
        done += sum(len(cells) for _, cells in part)
    return total


def _train(
    part: Sequence[tuple["Grid", Sequence]], store: ResultStore, device: str, progress: Progress | None
) -> None:
    from imbpipe.heads.posthoc.finish import finished_heads

    owners = [(grid, cell) for grid, cells in part for cell in cells]
    for grid, _ in part:
        _ = grid.training_set
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # selecting images can take as long as training on them
        runs = list(pool.map(lambda owner: owner[0].run(*owner[1]), owners))
    first = part[0][0]
    for bank in finished_heads(
        first.material.features,
        first.material.dataset.labels,
        runs,
        first.protocol,
        device=device,
        progress=progress,
        class_names=first.material.dataset.class_names,
    ):
        grid = owners[bank.runs[0]][0]  # heads of a bank share their training and validation images
        cells = [owners[number][1] for number in bank.runs]
        grid.keep(bank, [runs[number] for number in bank.runs], cells, store)


def _from(before: int, total: int, progress: Progress) -> Progress:
    """Progress of a part as progress of the whole."""
    return lambda done, _: progress(before + done, total)
