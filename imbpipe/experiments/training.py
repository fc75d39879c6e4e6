"""What grids miss, trained and kept: their runs side by side, so that no core waits for the longest."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING

from imbpipe.cache.rates import Rates, training
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import Setting
from imbpipe.types import Progress

if TYPE_CHECKING:
    from imbpipe.experiments.grid import Grid
    from imbpipe.heads.run import Run

    Planned = tuple[Grid, tuple[Setting, int], Run]

PLANS = 1 << 29
"""Bytes of plans from which on no more are made before these are trained: made rows can be large."""


def train_grids(
    grids: Sequence["Grid"], store: ResultStore, *, device: str = "auto", progress: Progress | None = None
) -> int:
    """Train and keep what is missing; returns the number of runs trained.

    grids: on the same features, by the same protocol; as many at a time as there are cores. Runs are kept
    as they finish, so an interrupted call goes on where it stopped.

    Raises TooLargeError, before any training: a strategy needs features in memory that stay in their file.
    """
    missing = [(grid, cells) for grid in grids if (cells := grid.missing(store))]
    _refuse_what_needs_memory(missing)
    total, done = sum(len(cells) for _, cells in missing), 0
    at_a_time = os.cpu_count() or 1
    for start in range(0, len(missing), at_a_time):
        part = missing[start : start + at_a_time]
        started = time.monotonic()
        for planned in _plan(part):
            for kept in _train(planned, store, device):
                done += kept
                if progress is not None:
                    progress(done, total)
        units = sum(grid.units(len(cells)) for grid, cells in part)
        work = training(device, part[0][0].protocol.head.kind)
        Rates(store.root).note(work, units, time.monotonic() - started)
        for grid, _ in part:
            grid.release()
    return total


def _refuse_what_needs_memory(missing: Sequence[tuple["Grid", Sequence[tuple[Setting, int]]]]) -> None:
    for grid, cells in missing[:1]:
        if grid.material.stored is not None:
            for setting, seed in {setting: (setting, seed) for setting, seed in cells}.values():
                grid.run(setting, seed)


def _plan(part: Sequence[tuple["Grid", Sequence[tuple[Setting, int]]]]) -> Iterator[list["Planned"]]:
    """The runs of all cells, as many at a time as PLANS allows, the cells of a seed together."""
    for grid, _ in part:
        _ = grid.training_set
    waiting = deque(
        (grid, list(same)) for grid, cells in part for _, same in groupby(cells, key=lambda cell: cell[1])
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # selecting images can take as long as training on them

        def begin() -> list[tuple["Grid", tuple[Setting, int], "Future[Run]"]]:
            grid, cells = waiting.popleft()
            return [(grid, cell, pool.submit(grid.run, *cell)) for cell in cells]

        begun = deque(begin() for _ in range(min(2, len(waiting))))
        planned: list[Planned] = []
        while begun:
            planned += [(grid, cell, run.result()) for grid, cell, run in begun.popleft()]
            if waiting:
                begun.append(begin())
            if sum(run.plan.nbytes for _, _, run in planned) > PLANS:
                yield planned
                planned = []
        if planned:
            yield planned


def _train(planned: Sequence["Planned"], store: ResultStore, device: str) -> Iterator[int]:
    """How many runs were kept, again and again."""
    from imbpipe.heads.posthoc.finish import finished_heads

    runs = [run for _, _, run in planned]
    first = planned[0][0]
    for bank in finished_heads(
        first.material.features,
        first.material.dataset.labels,
        runs,
        first.protocol,
        device=device,
        class_names=first.material.dataset.class_names,
    ):
        grid = planned[bank.runs[0]][0]  # heads of a bank share their training and validation images
        cells = [planned[number][1] for number in bank.runs]
        grid.keep(bank, [runs[number] for number in bank.runs], cells, store)
        yield len(bank.runs)
