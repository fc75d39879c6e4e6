"""The loss of K heads in one phase: which loss, its parameters, offsets and weights, stacked."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbpipe.heads.losses import LOSSES, Loss
from imbpipe.strategies.plan import Phase


@dataclass(frozen=True)
class _Part:
    """The heads of one loss, ascending, and its parameters: (heads, 1 or c, 1) each."""

    loss: Loss
    heads: list[int]
    index: Tensor
    parameters: dict[str, Tensor]


class Objective:
    """phases: of the K heads. rows: how many rows each head's plan numbers. classes: c.

    like: a tensor of the type and on the device to work in.
    """

    def __init__(self, phases: Sequence[Phase], rows: Sequence[int], classes: int, like: Tensor) -> None:
        self._like = like
        self._parts = [self._part(name, phases) for name in sorted({phase.loss for phase in phases})]
        self._offset = None
        if any(phase.offset is not None for phase in phases):
            none = np.zeros(classes, np.float32)
            offsets = [none if phase.offset is None else phase.offset for phase in phases]
            self._offset = self._tensor(np.stack(offsets))[:, :, None]
        mean = [1 if LOSSES[phase.loss].link == "softmax" else 1 / classes for phase in phases]
        self._mean = self._tensor(mean if len(set(mean)) > 1 else mean[:1])[:, None, None]
        self._table = None
        if any(phase.weight is not None for phase in phases):
            self._table, self._first = self._weights(phases, rows)
        pooled = [phase.weight_per == "batch" for phase in phases]
        self._pooled = torch.tensor(pooled, device=like.device)[:, None, None] if any(pooled) else None

    def gradient(self, z: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        """The slope at the logits z (k, c, batch) of the first k heads; z may be overwritten."""
        if self._offset is not None:
            z += self._offset[: len(z)]
        if len(self._parts) == 1:
            part = self._parts[0]
            p = {key: value[: len(z)] for key, value in part.parameters.items()}
            return part.loss.gradient(z, targets, weight, p)
        slope = torch.empty_like(z)
        targets, weight = targets.expand(len(z), -1, -1), weight.expand(len(z), -1, -1)
        for part in self._parts:
            count = bisect_left(part.heads, len(z))
            index = part.index[:count]
            p = {key: value[:count] for key, value in part.parameters.items()}
            z_part, y_part, w_part = (each.index_select(0, index) for each in (z, targets, weight))
            slope.index_copy_(0, index, part.loss.gradient(z_part, y_part, w_part, p))
        return slope

    def weight(self, local: Tensor, share: Tensor, heads: int) -> Tensor:
        """(steps, u or heads, 1 or c, batch): each row's factor times its share of the mean.

        local: (steps, u, batch) rows as the plans number them.
        share: (steps, u, batch), 1 over the rows of the batch; 0 on padding.
        """
        weight = share[:, :, None]
        if self._table is None:
            return weight * self._mean[:heads]
        rows = local + self._first[:heads, None]
        factors = self._table.index_select(0, rows.flatten()).unflatten(0, rows.shape).mT.contiguous()
        if self._pooled is not None:
            means = (factors * weight).sum(3, keepdim=True)
            factors = torch.where(self._pooled[:heads], means, factors)
        return factors.mul_(weight * self._mean[:heads])

    def _part(self, name: str, phases: Sequence[Phase]) -> _Part:
        loss = LOSSES[name]
        heads = [head for head, phase in enumerate(phases) if phase.loss == name]
        parameters = {}
        for key, default in loss.defaults.items():
            values = [np.atleast_1d(phases[head].parameters.get(key, default)) for head in heads]
            stacked = np.stack(np.broadcast_arrays(*values))
            parameters[key] = self._tensor(stacked)[:, :, None]
        return _Part(loss, heads, torch.tensor(heads, device=self._like.device), parameters)

    def _weights(self, phases: Sequence[Phase], rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """One table of all different weights, and where each head's begin in it."""
        widths = [1 if p.weight is None or p.weight.ndim == 1 else p.weight.shape[1] for p in phases]
        begins: dict[tuple[str, int], int] = {}
        blocks, first, height = [], [], 0
        for phase, count in zip(phases, rows, strict=True):
            key = ("ones", count) if phase.weight is None else ("given", id(phase.weight))
            if key not in begins:
                block = np.ones(count, np.float32) if phase.weight is None else phase.weight
                blocks.append(np.broadcast_to(block.reshape(count, -1), (count, max(widths))))
                begins[key] = height
                height += count
            first.append(begins[key])
        return self._tensor(np.concatenate(blocks)), torch.tensor(first, device=self._like.device)

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values).to(self._like)
