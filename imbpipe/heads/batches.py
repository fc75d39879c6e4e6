"""The batches of a slice: rows, targets, loss weights and dropout masks of a few steps at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from imbpipe.heads.align import aligned
from imbpipe.heads.buffer import Buffered
from imbpipe.heads.draws import dropout_masks, epoch_rows, mask_keys
from imbpipe.heads.objective import Objective
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.slices import Slice, phase_of_epoch
from imbpipe.heads.stream import Arranged, Stream
from imbpipe.types import Rows

MOST_STEPS = 16
"""Steps of a chunk."""
ROWS = 1024
"""Rows looked at together outside of training."""

Drawn = list[Tensor]
"""A group's epoch: (steps, batch) rows as the plan numbers them and of the labels, shares; (steps,) keys."""


@dataclass(frozen=True)
class Data:
    """What all heads train on. features: (N, d). labels: (N, c), in [0, 1]; same type and device.

    buffered: where the features stay in their file; `features` is (0, d) then.
    """

    features: Tensor
    labels: Tensor
    buffered: Buffered | None = None

    def blocks(self, rows: Rows) -> Iterator[tuple[Tensor, Tensor]]:
        """Features and labels of these rows, some at a time."""
        if self.buffered is not None:
            for some, features in self.buffered.features.subset(rows).blocks():
                yield torch.from_numpy(features).to(self.features), self.labels[torch.from_numpy(rows[some])]
            return
        for some in torch.tensor(rows, device=self.features.device).split(ROWS):
            yield self.features[some], self.labels[some]


@dataclass(frozen=True)
class Chunk:
    """`steps` steps of the first `groups` groups. u: 1 if the slice is one group, else K heads.

    rows: (steps, u, batch) of the features. targets: (steps, u, c, batch).
    weight: (steps, u or K, 1 or c, batch), each row's share of its batch in it; 0 on padding.
    mask: (steps, u, hidden, batch), or None without dropout.
    """

    groups: int
    rows: Tensor
    targets: Tensor
    weight: Tensor
    mask: Tensor | None

    @property
    def steps(self) -> int:
        return len(self.rows)


class Batches:
    """Draws a slice's epochs. Batches are padded to a multiple of ALIGN with rows of weight 0."""

    def __init__(self, part: Slice, runs: Sequence[Run], data: Data, protocol: Protocol) -> None:
        self.leaders = [runs[group.runs[0]] for group in part.groups]
        self.size = len(part.groups[0].runs)
        self.protocol = protocol
        self.data = _with_synthetic(data, self.leaders[0])
        self._stream = None if data.buffered is None else _stream(data, data.buffered, self.leaders[0])
        self._ahead: dict[int, list[tuple[Drawn, Arranged | None]]] = {}
        self.batch = aligned(protocol.batch_size)
        self.units = protocol.head.hidden if protocol.head.kind == "mlp" and protocol.head.dropout else 0
        self.most_steps = chunk_steps(part, data, protocol)

    @property
    def features(self) -> Tensor:
        """What the rows of a chunk count in; changes between chunks where features are read from a file."""
        return self.data.features if self._stream is None else self._stream.features

    def close(self) -> None:
        """Read nothing more."""
        if self._stream is not None:
            self._stream.close()

    def numbered(self, run: Run) -> int:
        """How many rows the run's plan numbers."""
        made = run.plan.synthetic
        return len(run.train) + (0 if made is None else len(made.labels))

    def epoch(self, epoch: int, objective: Objective) -> Iterator[Chunk]:
        """All batches of one epoch, in chunks in which the same groups are active."""
        drawn, arranged = zip(*self._ahead.pop(epoch, None) or self._draw_all(epoch), strict=True)
        ends = [len(rows) for rows, *_ in drawn]
        start = 0
        while start < ends[0]:
            groups = sum(end > start for end in ends)
            steps = min(self.most_steps, ends[groups - 1] - start)
            if self._stream is not None:
                steps = min(steps, self._readable(arranged[0], start))
            steps = 1 << (steps.bit_length() - 1)  # powers of two: few lengths for a GPU to capture
            taken = [[each[start : start + steps] for each in group] for group in drawn[:groups]]
            local, rows, share, keys = (torch.stack(each, 1) for each in zip(*taken, strict=True))
            if len(ends) > 1 and self.size > 1:
                local, rows, share, keys = (
                    each.repeat_interleave(self.size, 1) for each in (local, rows, share, keys)
                )
            places = rows
            if self._stream is not None:
                places = self._read(arranged[0], epoch, start, steps, local)
            yield self._chunk(groups, local, rows, places, share, keys, objective)
            start += steps

    def _readable(self, arranged: Arranged, start: int) -> int:
        """Steps from `start` on whose rows can be in memory together."""
        assert self._stream is not None
        size = self.protocol.batch_size
        reach = self._stream.reach(arranged, start * size)
        return max(1, reach // size - start)

    def _read(self, arranged: Arranged, epoch: int, start: int, steps: int, local: Tensor) -> Tensor:
        """Where the chunk's rows lie; what comes next is being read by then, also of the next epoch."""
        assert self._stream is not None
        first, end = (number * self.protocol.batch_size for number in (start, start + steps))
        places = self._stream.slots(arranged, first, min(end, len(arranged.order)), local)
        if self._stream.idle and epoch + 1 < self.protocol.epochs and not self._ahead:
            self._ahead[epoch + 1] = self._draw_all(epoch + 1)
        return places

    def _draw_all(self, epoch: int) -> list[tuple[Drawn, Arranged | None]]:
        return [self._draw(run, epoch) for run in self.leaders]

    def _draw(self, run: Run, epoch: int) -> tuple[Drawn, Arranged | None]:
        phase = phase_of_epoch(run, epoch, self.protocol.epochs)
        order = epoch_rows(phase, len(run.train), run.seed, epoch)
        arranged = None
        if self._stream is not None:
            arranged = self._stream.arrange(order, epoch)
            order = arranged.order
        size = self.protocol.batch_size
        steps = -(-len(order) // size)
        counts = np.full(steps, size)
        counts[-1] = len(order) - (steps - 1) * size
        local = np.zeros((steps, self.batch), np.int64)
        local[:, :size] = np.pad(order, (0, steps * size - len(order))).reshape(steps, size)
        share = (np.arange(self.batch) < counts[:, None]) / counts[:, None]
        rows = local if run.plan.synthetic is not None else run.train[local]
        keys = mask_keys(run.seed, epoch, steps)
        features = self.data.features
        drawn = (torch.from_numpy(each).to(features.device) for each in (local, rows, keys))
        local_rows, all_rows, all_keys = drawn
        return [local_rows, all_rows, torch.from_numpy(share).to(features), all_keys], arranged

    def _chunk(
        self,
        groups: int,
        local: Tensor,
        rows: Tensor,
        places: Tensor,
        share: Tensor,
        keys: Tensor,
        objective: Objective,
    ) -> Chunk:
        """places: of the rows in `features`."""
        labels = self.data.labels
        targets = labels.index_select(0, rows.flatten()).unflatten(0, rows.shape).mT.contiguous()
        mask = None
        if self.units:
            keep = 1 - self.protocol.head.dropout
            mask = dropout_masks(keys, self.units, self.batch, keep, labels.dtype)
        weight = objective.weight(local, share, groups * self.size)
        return Chunk(groups, places.flatten(1), targets, weight, mask)


def _with_synthetic(data: Data, run: Run) -> Data:
    """`data`, or where the plan makes rows: the training rows and the made ones after them."""
    made = run.plan.synthetic
    if made is None:
        return data
    rows = torch.tensor(run.train, device=data.features.device)
    labels = torch.cat([data.labels.index_select(0, rows), torch.tensor(made.labels).to(data.labels)])
    if data.buffered is not None:
        return replace(data, labels=labels)
    features = torch.cat([data.features.index_select(0, rows), torch.tensor(made.features).to(data.features)])
    return Data(features, labels)


def _stream(data: Data, buffered: Buffered, run: Run) -> Stream:
    labels = data.labels[torch.from_numpy(run.train).to(data.labels.device)] > 0
    return Stream(buffered, run, labels.cpu().numpy(), data.features)


def chunk_steps(part: Slice, data: Data, protocol: Protocol) -> int:
    """Steps prepared at once: enough to spread the cost of a call, few enough to stay in the cache."""
    sources = 1 if len(part.groups) == 1 else len(part.runs)
    units = protocol.head.hidden if protocol.head.kind == "mlp" else 0
    step = sources * aligned(protocol.batch_size) * (units + data.labels.shape[1])
    room = 1 << (19 if data.features.device.type == "cpu" else 26)
    return max(1, min(MOST_STEPS, room // step))
