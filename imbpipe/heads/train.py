"""Train one slice: the loop over epochs and batches."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from imbpipe.heads.batches import Batches, Chunk, Data
from imbpipe.heads.early import Best
from imbpipe.heads.network import NETWORKS, Network, shapes
from imbpipe.heads.objective import Objective
from imbpipe.heads.replay import Replay
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.slices import Slice, phase_of_epoch
from imbpipe.heads.stack import Adam, Stack
from imbpipe.heads.start import begin


class Stopped(Exception):  # noqa: N818 – not an error
    """Nobody waits for the slice any more."""


@torch.inference_mode()
def train_slice(
    part: Slice, runs: Sequence[Run], data: Data, protocol: Protocol, stopped: Callable[[], bool]
) -> dict[str, Tensor]:
    """The parameters of the slice's K trained heads by name, (K, rows, columns).

    Raises Stopped soon after `stopped()` turns true.
    """
    trainer = _Trainer(part, runs, data, protocol)
    try:
        return trainer.train(stopped)
    finally:
        trainer.close()


class _Trainer:
    def __init__(self, part: Slice, runs: Sequence[Run], data: Data, protocol: Protocol) -> None:
        self.protocol = protocol
        self.data = data
        self.runs = [runs[number] for number in part.runs]
        self.size = len(part.groups[0].runs)
        self.batches = Batches(part, runs, data, protocol)
        layers = shapes(protocol.head, data.features.shape[1], data.labels.shape[1])
        seeds = [run.seed for run in self.runs]
        self.stack = Stack(layers, seeds, len(part.groups), data.features)
        for place, run in enumerate(self.runs):
            if run.plan.start is not None:
                begin(self.stack.views(self.stack.parameters), place, run.plan.start)
        self.replay = Replay(self._steps, data.features.device)
        sources = 1 if len(part.groups) == 1 else len(self.runs)
        self.x = data.features.new_empty(sources, self.batches.batch, data.features.shape[1])
        self.active: dict[int, tuple[Network, Adam]] = {}

    def train(self, stopped: Callable[[], bool]) -> dict[str, Tensor]:
        best = None
        if self.protocol.patience is not None:
            best = Best(self.runs, self.size, self.stack, self.data, self.protocol)
        phases = None
        for epoch in range(self.protocol.epochs):
            now = [phase_of_epoch(run, epoch, self.protocol.epochs) for run in self.runs]
            if now != phases:
                phases = now
                rows = [self.batches.numbered(run) for run in self.runs]
                self.objective = Objective(phases, rows, self.data.labels.shape[1], self.x)
                self.replay.forget()
            for chunk in self.batches.epoch(epoch, self.objective):
                if stopped():
                    raise Stopped
                self.replay.run(chunk, self._learning_rate(epoch))
            if best is not None and best.all_stopped_after(epoch):
                break
        return self.stack.views(self.stack.parameters if best is None else best.parameters)

    def close(self) -> None:
        """Give back all memory now: the trainer and its replay hold each other."""
        self.batches.close()
        del self.replay

    def _learning_rate(self, epoch: int) -> float:
        """torch.optim.lr_scheduler.StepLR, stepped after every epoch."""
        step = self.protocol.step
        drops = 0 if step is None else epoch // step
        return self.protocol.learning_rate * self.protocol.gamma**drops

    def _steps(self, chunk: Chunk, learning_rate: float) -> None:
        network, adam = self._first(chunk.groups)
        x = self.x[: chunk.groups * self.size]
        flat = x.flatten(0, 1)
        masks = [None] * chunk.steps if chunk.mask is None else chunk.mask.unbind()
        steps = zip(chunk.rows.unbind(), chunk.targets.unbind(), chunk.weight.unbind(), masks, strict=True)
        for rows, targets, weight, mask in steps:
            torch.index_select(self.batches.features, 0, rows, out=flat)
            z = network.forward(x, mask)
            adam.step(learning_rate, network.backward(x, self.objective.gradient(z, targets, weight)))

    def _first(self, groups: int) -> tuple[Network, Adam]:
        """The network and Adam of the first `groups` groups."""
        if groups not in self.active:
            heads = slice(groups * self.size)
            p = self.stack.views(self.stack.parameters, heads)
            g = self.stack.views(self.stack.gradient, heads)
            keep = 1 - self.protocol.head.dropout
            network = NETWORKS[self.protocol.head.kind](p, g, self.batches.batch, keep)
            self.active[groups] = network, Adam(self.stack, groups, heads.stop)
        return self.active[groups]
