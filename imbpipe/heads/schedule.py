"""How a grid is cut, so that cores stay busy and memory stays within the budget."""

import heapq
from collections.abc import Sequence

from imbpipe.errors import UsageError
from imbpipe.heads.align import aligned
from imbpipe.heads.batches import Data, chunk_steps
from imbpipe.heads.network import shapes
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.slices import Group, Slice, cut, cut_alone
from imbpipe.heads.stack import width

MOST = 8
"""Heads in a slice on a CPU: their parameters and moments then stay in its caches (benchmarks/heads.py)."""


def schedule(
    groups: Sequence[Group], runs: Sequence[Run], data: Data, protocol: Protocol, memory: int, cores: int
) -> tuple[list[Slice], int]:
    """The slices, costliest first, and how many to train at a time.

    On a CPU the cut that ends soonest on `cores` cores; on a GPU slices as large as memory allows.
    Raises UsageError: not even one head at a time fits into `memory` bytes.
    """
    cuda = data.features.device.type == "cuda"
    heads = sum(len(group.runs) for group in groups)
    sizes = [heads >> halved for halved in range(heads.bit_length())] if cuda else range(MOST, 0, -1)
    fitting, least = [], memory
    for most in sizes:
        slices = cut(groups, most, merge=cuda) if data.buffered is None else cut_alone(groups, most)
        least = max(bytes_of(part, runs, data, protocol) for part in slices)
        at_a_time = min(1 if cuda else cores, memory // least)
        if at_a_time:
            fitting.append((slices, at_a_time))
        if cuda and fitting:
            break
    if not fitting:
        asked, need = (f"{number / 2**20:.1f} MiB" for number in (memory, least))
        raise UsageError(f"a memory budget of {asked}; one head at a time takes {need}", "Raise the budget")
    return min(fitting, key=lambda option: makespan(*option))


def makespan(slices: Sequence[Slice], workers: int) -> float:
    """When the last is done, if each free worker takes the next."""
    busy = [0.0] * workers
    for part in slices:
        heapq.heapreplace(busy, busy[0] + part.cost)
    return max(busy)


def bytes_of(part: Slice, runs: Sequence[Run], data: Data, protocol: Protocol) -> int:
    """What training the slice takes at most, beside the features (or the room for them) and labels."""
    dimension, classes = data.features.shape[1], data.labels.shape[1]
    heads, sources = len(part.runs), 1 if len(part.groups) == 1 else len(part.runs)
    batch, hidden = aligned(protocol.batch_size), protocol.head.hidden
    stack = (5 if protocol.patience is None else 8) * heads * width(shapes(protocol.head, dimension, classes))
    network = batch * (sources * dimension + heads * (2 * hidden + 6 * classes))
    step = batch * (sources * (3 * hidden + 2 * classes) + 2 * heads * classes)
    made = [group for group in part.groups if group.synthetic]
    rows = sum(len(runs[group.runs[0]].train) + group.synthetic for group in made)
    phases = [phase for number in part.runs for phase in runs[number].plan.phases]
    weights = {id(phase.weight): phase.weight for phase in phases if phase.weight is not None}
    table = (len(weights) + 1) * max((weight.size for weight in weights.values()), default=0)
    numbers = stack + network + chunk_steps(part, data, protocol) * step
    in_memory = rows if data.buffered is None else sum(group.synthetic for group in made)
    numbers += 2 * (in_memory * dimension + rows * classes) + 2 * table
    drawn = batch * sum(max(group.steps) for group in part.groups)
    return numbers * data.features.element_size() + 8 * 6 * drawn
