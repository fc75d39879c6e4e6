"""Which runs are trained together: groups share batches, slices are what one worker trains at a time."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import PlanError
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.plan import Phase


@dataclass(frozen=True)
class Group:
    """Runs with the same batches, order and dropout. steps: of each epoch. synthetic: rows made for them."""

    runs: tuple[int, ...]
    steps: tuple[int, ...]
    synthetic: int = 0


@dataclass(frozen=True)
class Slice:
    """Groups of equal size, the longest first in every epoch."""

    groups: tuple[Group, ...]

    @property
    def runs(self) -> tuple[int, ...]:
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def cost(self) -> float:
        """Time relative to other slices: a step of a head is 1, a batch of its own 1, a step's calls 2."""
        size = len(self.groups[0].runs)
        return sum(sum(g.steps) * (size + 1) for g in self.groups) + 2 * sum(self.groups[0].steps)


def phase_of_epoch(run: Run, epoch: int, epochs: int) -> Phase:
    """The last phase whose start is at or before epoch / epochs."""
    return [phase for phase in run.plan.phases if phase.start <= epoch / epochs][-1]


def last_start(run: Run, epochs: int) -> int:
    """The epoch in which the last phase starts."""
    return next(e for e in range(epochs) if phase_of_epoch(run, e, epochs) is run.plan.phases[-1])


def rows_an_epoch(run: Run, epochs: int) -> float:
    """Rows that the run is trained on in an epoch, on average: what it costs."""
    phases = (phase_of_epoch(run, epoch, epochs) for epoch in range(epochs))
    return sum(_rows(run, phase) for phase in phases) / epochs


def _rows(run: Run, phase: Phase) -> int:
    return len(run.train if phase.rows is None else phase.rows)


def group_runs(runs: Sequence[Run], protocol: Protocol) -> list[Group]:
    """Groups of runs, in the order of their first run.

    Raises PlanError: a phase starts so late, or so close to the next, that no epoch trains in it.
    """
    digest = _Digest()
    members: dict[Any, list[int]] = defaultdict(list)
    for number, run in enumerate(runs):
        phases = [phase_of_epoch(run, epoch, protocol.epochs) for epoch in range(protocol.epochs)]
        for phase in run.plan.phases:
            if not any(phase is used for used in phases):
                raise _untrained(run, phase, protocol.epochs)
        made = run.plan.synthetic
        key = (
            run.seed,
            digest(run.train),
            digest(run.validation) if protocol.patience else b"",
            made and (digest(made.features), digest(made.labels)),
            tuple((digest(phase.rows), digest(phase.probability)) for phase in phases),
        )
        members[key].append(number)
    return [_group(runs, tuple(numbers), protocol) for numbers in members.values()]


def _untrained(run: Run, phase: Phase, epochs: int) -> PlanError:
    """With the least number of epochs that trains in every phase, where a thousand are enough."""
    every = {other.start for other in run.plan.phases}
    enough = (
        more
        for more in range(epochs + 1, 1001)
        if {phase_of_epoch(run, epoch, more).start for epoch in range(more)} == every
    )
    more = next(enough, None)
    longer = f"Train for {more} epochs (--epochs {more}), or give" if more else "Give"
    return PlanError(
        f"no epoch of {epochs} trains in the phase that starts after {phase.start:g} of the training",
        f"{longer} the strategy fewer stages or an earlier start",
    )


def _group(runs: Sequence[Run], numbers: tuple[int, ...], protocol: Protocol) -> Group:
    run = runs[numbers[0]]
    phases = (phase_of_epoch(run, epoch, protocol.epochs) for epoch in range(protocol.epochs))
    steps = tuple(-(-_rows(run, phase) // protocol.batch_size) for phase in phases)
    by_loss = sorted(numbers, key=lambda number: [phase.loss for phase in runs[number].plan.phases])
    return Group(tuple(by_loss), steps, 0 if run.plan.synthetic is None else len(run.plan.synthetic.labels))


def cut(groups: Sequence[Group], most: int, *, merge: bool) -> list[Slice]:
    """Slices of at most `most` heads, the costliest first.

    merge: put groups of equal size together; otherwise only groups of one run are.
    """
    parts: dict[int, list[Group]] = defaultdict(list)
    for group in groups:
        for runs in np.array_split(group.runs, -(-len(group.runs) // most)):
            parts[len(runs)].append(Group(tuple(runs.tolist()), group.steps, group.synthetic))
    slices = []
    for size, same in parts.items():
        room = most // size if merge or size == 1 else 1
        for stretch in _stretches(same):
            cuts = np.array_split(np.arange(len(stretch)), -(-len(stretch) // room))
            slices += [Slice(tuple(stretch[place] for place in places)) for places in cuts]
    return sorted(slices, key=lambda part: part.cost, reverse=True)


def cut_alone(groups: Sequence[Group], most: int) -> list[Slice]:
    """As `cut`, with every group by itself, as what it draws is read for it alone."""
    slices = [part for group in groups for part in cut([group], most, merge=False)]
    return sorted(slices, key=lambda part: part.cost, reverse=True)


def _stretches(groups: Sequence[Group]) -> list[list[Group]]:
    """Longest first, parted where one is not at least as long as the next in every epoch."""
    stretches: list[list[Group]] = []
    for group in sorted(groups, key=lambda group: (group.synthetic, group.steps), reverse=True):
        last = stretches[-1][-1] if stretches else group
        ordered = all(a >= b for a, b in zip(last.steps, group.steps, strict=True))
        if stretches and ordered and not last.synthetic:
            stretches[-1].append(group)
        else:
            stretches.append([group])
    return stretches


class _Digest:
    """SHA-256 of arrays, each computed once. The arrays must outlive it."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}

    def __call__(self, array: NDArray[Any] | None) -> bytes:
        if array is None:
            return b""
        if id(array) not in self._known:
            head = f"{array.shape}{array.dtype.str}".encode()
            self._known[id(array)] = hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).digest()
        return self._known[id(array)]
