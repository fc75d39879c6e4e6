"""What grids miss, trained and kept: their runs side by side, so that no core waits for the longest."""

import os
import time
from collections.abc import Iterator, Sequence
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
        started = time.monotonic()
        for kept in _train(part, store, device):
            done += kept
            if progress is not None:
                progress(done, total)
        units = sum(grid.units(len(cells)) for grid, cells in part)
        work = training(device, part[0][0].protocol.head.kind)
        Rates(store.root).note(work, units, time.monotonic() - started)
    return total


def _train(part: Sequence[tuple["Grid", Sequence]], store: ResultStore, device: str) -> Iterator[int]:
    """How many runs were kept, again and again."""
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
        class_names=first.material.dataset.class_names,
    ):
        grid = owners[bank.runs[0]][0]  # heads of a bank share their training and validation images
        cells = [owners[number][1] for number in bank.runs]
        grid.keep(bank, [runs[number] for number in bank.runs], cells, store)
        yield len(bank.runs)
