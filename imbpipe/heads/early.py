"""Early stopping: the parameters of each head's best epoch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from imbpipe.heads.batches import Data
from imbpipe.heads.losses import LOSSES
from imbpipe.heads.network import logits
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.slices import last_start
from imbpipe.heads.stack import Stack


class Best:
    """Watches the validation loss of K heads; only epochs of a head's last phase count.

    The loss is the same for all: binary cross-entropy for sigmoid losses, cross-entropy for softmax
    ones, without the plan's weights and offsets.
    parameters: blocks like the stack's, of each head's best epoch so far.
    """

    def __init__(self, runs: Sequence[Run], size: int, stack: Stack, data: Data, protocol: Protocol) -> None:
        device = data.features.device
        self._runs, self._size, self._stack, self._data = runs, size, stack, data
        self._patience = protocol.patience or 0
        self._first = torch.tensor([last_start(run, protocol.epochs) for run in runs], device=device)
        self._loss = torch.full((len(runs),), torch.inf, dtype=torch.float64, device=device)
        self._epoch = self._first.clone()
        self._running = torch.ones(len(runs), dtype=torch.bool, device=device)
        self.parameters = {name: block.clone() for name, block in stack.parameters.items()}

    def all_stopped_after(self, epoch: int) -> bool:
        """Score the heads after `epoch`; True once every head has run out of patience."""
        loss = self._losses()
        counts = self._running & (self._first <= epoch)
        better = counts & (loss < self._loss)
        self._loss = torch.where(better, loss, self._loss)
        self._epoch = torch.where(better, epoch, self._epoch)
        for name, block in self._stack.parameters.items():
            self.parameters[name] = torch.where(better[:, None], block, self.parameters[name])
        self._running &= (self._first > epoch) | (epoch - self._epoch < self._patience)
        return not self._running.any()

    def _losses(self) -> Tensor:
        """(K,) mean validation losses."""
        per_group = []
        for start in range(0, len(self._runs), self._size):
            heads = slice(start, start + self._size)
            rows = self._runs[start].validation
            views = self._stack.views(self._stack.parameters, heads)
            sums = [self._sums(logits(views, x), y, heads) for x, y in self._data.blocks(rows)]
            per_group.append(torch.stack(sums).sum(0) / len(rows))
        return torch.cat(per_group)

    def _sums(self, z: Tensor, y: Tensor, heads: slice) -> Tensor:
        """(k,) losses of logits (k, n, c) against y (n, c), summed over rows."""
        links = (LOSSES[run.plan.phases[-1].loss].link for run in self._runs[heads])
        losses = [
            cross_entropy(each, y, reduction="none")
            if link == "softmax"
            else binary_cross_entropy_with_logits(each, y, reduction="none").mean(1)
            for each, link in zip(z, links, strict=True)
        ]
        return torch.stack([loss.sum(dtype=torch.float64) for loss in losses])
