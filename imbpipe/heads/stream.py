"""Training rows read from their file while the heads train: shuffled blocks, shuffled again in a buffer.

Every epoch the file's blocks are dealt out at random into parts; a part's rows are read together and trained
on in random order while the next part is read. So each row is drawn exactly as often as the plan says, in an
order between the file's and a full shuffle's. The error of SGD that this adds is in proportion to the share
of blocks that are not in the buffer, and to how much more alike rows of a block are than any rows; it is 0
where the buffer holds all. Three things keep it small in files that are sorted by class: blocks are small
(32 rows), each part is dealt one of every stretch of neighbours, and rows of the rarest classes,
which would fill few blocks, stay in memory and come at any time.

Source: Xu et al. (2022), "In-Database Machine Learning with CorgiPile: Stochastic Gradient Descent without
Full Data Shuffle", for the two levels of shuffling and the error; dealing and keeping are ours.
"""

import mmap
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbpipe.datasets.frequency import class_counts
from imbpipe.heads.buffer import KEPT, Buffered
from imbpipe.heads.draws import part_order
from imbpipe.heads.run import Run
from imbpipe.strategies.plan import Phase
from imbpipe.types import Features, Labels, Rows


@dataclass(frozen=True, eq=False)
class Arranged:
    """An epoch's rows in the order of training. first: its first part. ends: (parts,) where each ends."""

    order: Rows
    first: int
    ends: NDArray[np.int64]


class Stream:
    """The rows of one run, two parts in memory at a time: one is trained on, one is read.

    Where all rows that the run ever draws fit at once, they are read once and trained on in the order of
    resident training. Rows are numbered as the plan numbers them; made ones always are in memory.

    features: (rows in memory, d), what `slots` count in: the kept rows, two halves for parts, the made rows.
    """

    def __init__(self, buffered: Buffered, run: Run, labels: Labels, like: Tensor) -> None:
        """labels: (n, c) of the run's training rows. like: of the type and on the device to work with."""
        self._source, self._seed = buffered.features.subset(run.train), run.seed
        n, d = self._source.shape
        new = np.empty((0, d)) if run.plan.synthetic is None else run.plan.synthetic.features
        self._block = self._source.block_of(np.arange(n))
        self._parts: deque[Rows] = deque()
        self._planned = self._there = self._oldest = 0
        self._reading: Future[Features] | None = None
        ever = _ever_drawn(run.plan.phases, n)
        self._whole = len(ever) <= buffered.rows
        kept = ever if self._whole else _rarest(ever, labels, int(KEPT * buffered.rows))
        self._half = 0 if self._whole else (buffered.rows - len(kept)) // 2
        self._first = len(kept)
        self._streamed = np.zeros(n + len(new), bool)
        self._streamed[ever] = True
        self._streamed[kept] = False
        self._slot = torch.zeros(n + len(new), dtype=torch.int32, device=like.device)
        self.features = _zeros(self._first + 2 * self._half + len(new), d, like)
        self._place(kept, self._read(kept, 0), 0)
        self._slot[n:] = torch.arange(len(self.features) - len(new), len(self.features))
        self.features[len(self.features) - len(new) :] = torch.from_numpy(new)
        self._pool = ThreadPoolExecutor(1, "reader")

    def close(self) -> None:
        """Read no further, and give the memory back."""
        self._pool.shutdown(cancel_futures=True)
        self.features = self.features[:0].clone()

    def arrange(self, order: Rows, epoch: int) -> Arranged:
        """The rows that an epoch draws, part after part; each part keeps their order."""
        if self._whole:
            return Arranged(order, 0, np.array([len(order)]))
        streamed = self._streamed[order]
        drawn = np.zeros(len(self._block), bool)
        drawn[order[streamed]] = True
        distinct = np.flatnonzero(drawn)
        rng = part_order(self._seed, epoch)
        part_of_block, parts = self._deal(self._block[distinct], rng)
        part = np.zeros(len(order), np.min_scalar_type(parts))
        part[streamed] = part_of_block[self._block[order[streamed]]]
        if streamed.any():  # the others come at any time
            part[~streamed] = rng.choice(part[streamed], np.count_nonzero(~streamed))
        self._parts.extend(_sorted_into(distinct, part_of_block[self._block[distinct]], parts))
        self._planned += parts
        self._read_on()
        sorted_order = _sorted_into(order, part, parts)
        ends = np.cumsum([len(rows) for rows in sorted_order])
        return Arranged(np.concatenate(sorted_order), self._planned - parts, ends)

    def reach(self, epoch: Arranged, start: int) -> int:
        """Up to where in the epoch's order rows can be in memory together with those at `start`."""
        part = int(np.searchsorted(epoch.ends, start, "right"))
        return int(epoch.ends[min(part + 1, len(epoch.ends) - 1)])

    def slots(self, epoch: Arranged, start: int, end: int, rows: Tensor) -> Tensor:
        """Where in `features` the rows lie, all of them between `start` and `end` of the epoch's order.

        What stands before `start` is not asked for again.
        """
        if not self._whole:
            self._oldest, last = epoch.first + np.searchsorted(epoch.ends, [start, end - 1], "right")
            while self._there <= last:
                self._read_on()
                self._arrive()
            self._read_on()
        return self._slot.index_select(0, rows.flatten()).view(rows.shape)

    @property
    def idle(self) -> bool:
        """Whether the parts of the epochs arranged so far are all read, and there is room for one more."""
        return not self._whole and not self._parts and self._there - self._oldest < 2

    def _deal(self, block: Rows, rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
        """The part of each block, and how many there are; none has more rows than there is room for.

        block: of each different row that is drawn.
        """
        counts = np.bincount(block, minlength=1)
        parts = max(1, -(-len(block) // (self._half - int(counts.max()))))
        blocks = np.flatnonzero(counts)
        dealt = rng.random((-(-len(blocks) // parts), parts)).argsort(1).ravel()[: len(blocks)]
        blocks = blocks[np.lexsort((rng.random(len(blocks)), dealt))]
        part_of_block = np.zeros(len(counts), np.int64)
        part_of_block[blocks] = (np.cumsum(counts[blocks]) - 1) * parts // len(block)
        return part_of_block, parts

    def _read_on(self) -> None:
        """Begin with the next part, if nothing is being read and the part before the last is done with."""
        if self._reading is None and self._parts and self._there - self._oldest < 2:
            self._reading = self._pool.submit(self._read, self._parts[0], self._next)

    def _arrive(self) -> None:
        """Wait for the part that is being read."""
        assert self._reading is not None
        self._place(self._parts.popleft(), self._reading.result(), self._next)
        self._reading = None
        self._there += 1

    @property
    def _next(self) -> int:
        """Where the rows of the part that comes next begin."""
        return self._first + self._half * (self._there % 2)

    def _read(self, rows: Rows, start: int) -> Features:
        """On a CPU right where they are trained on."""
        if self.features.device.type == "cpu":
            out = self.features[start : start + len(rows)].numpy()
        else:
            out = np.empty((len(rows), self._source.shape[1]), self._source.dtype)
        self._source.read_into(rows, out)
        return out

    def _place(self, rows: Rows, found: Features, start: int) -> None:
        places = torch.arange(start, start + len(rows), dtype=torch.int32)
        if self.features.device.type != "cpu":
            self.features[start : start + len(rows)] = torch.from_numpy(found)
        self._slot[torch.from_numpy(rows).to(self._slot.device)] = places.to(self._slot.device)


def _zeros(rows: int, columns: int, like: Tensor) -> Tensor:
    """Memory that is given back to the system as soon as nobody holds it; on a GPU an ordinary tensor."""
    if like.device.type != "cpu" or not rows:
        return like.new_zeros(rows, columns)
    pages = mmap.mmap(-1, rows * columns * like.element_size())
    return torch.frombuffer(pages, dtype=like.dtype).view(rows, columns)


def _ever_drawn(phases: tuple[Phase, ...], n: int) -> Rows:
    """The real rows that any epoch can draw."""
    drawn = np.zeros(n, bool)
    for phase in phases:
        if phase.probability is not None:
            drawn |= phase.probability[:n] > 0
        elif phase.rows is not None:
            drawn[phase.rows[phase.rows < n]] = True
        else:
            drawn[:] = True
    return np.flatnonzero(drawn)


def _rarest(rows: Rows, labels: Labels, most: int) -> Rows:
    """At most so many of the rows: all that have one of the rarest labels, or none where those are many."""
    counts = np.append(class_counts(labels), np.count_nonzero(~labels.any(axis=1)))
    rarest = np.full(len(labels), counts[-1])
    for column in np.argsort(-counts[:-1], kind="stable"):
        rarest[labels[:, column]] = counts[column]
    values, sizes = np.unique(rarest[rows], return_counts=True)
    fitting = values[np.cumsum(sizes) <= most]
    return rows[np.isin(rarest[rows], fitting)]


def _sorted_into(rows: Rows, part: NDArray[np.integer], parts: int) -> list[Rows]:
    """The rows of each part, in the order in which they are given. part: (m,) of each row."""
    ends = np.cumsum(np.bincount(part, minlength=parts))
    return np.split(rows[np.argsort(part, kind="stable")], ends[:-1])
