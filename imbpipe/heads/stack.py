"""K heads' parameters, gradients and Adam moments, one row a head."""

import torch
from torch import Tensor

from imbpipe.heads.network import Shapes, initial

ALIGN = 32
"""Blocks start and end on whole cache lines and whole strides of vector code (two AVX-512 registers), so
that a head is computed by the same instructions wherever it stands, and its bits do not depend on its
neighbours."""


def aligned(count: int) -> int:
    return -(-count // ALIGN) * ALIGN


def width(layers: Shapes) -> int:
    """Numbers a head takes in one row of the stack."""
    return sum(aligned(rows * columns) for rows, columns in layers.values())


class Stack:
    """K heads in groups of equal size; a group's Adam counts its own steps.

    parameters, gradient, mean, square: (K, width).
    """

    def __init__(self, layers: Shapes, seeds: list[int], groups: int, like: Tensor) -> None:
        self.layers = layers
        new = like.new_zeros(4, len(seeds), width(layers))
        self.parameters, self.gradient, self.mean, self.square = new
        self.steps = torch.zeros(groups, device=like.device)
        blocks = [[*part.view(groups, -1)] for part in new]
        self._adam = [*blocks, [*self.steps]]
        start = {seed: initial(layers, seed) for seed in set(seeds)}
        for name, view in self.views(self.parameters).items():
            view.copy_(torch.stack([start[seed][name] for seed in seeds]))

    def views(self, of: Tensor) -> dict[str, Tensor]:
        """`of` (k, width), by name: (k, rows, columns)."""
        views, at = {}, 0
        for name, (rows, columns) in self.layers.items():
            views[name] = of[:, at : at + rows * columns].unflatten(1, (rows, columns))
            at += aligned(rows * columns)
        return views

    def adam(self, groups: int, learning_rate: float) -> None:
        """One step of the first `groups` groups, in one pass over memory; as `torch.optim.Adam`."""
        p, g, m, v, steps = (blocks[:groups] for blocks in self._adam)
        self.steps[:groups].add_(1)
        torch._fused_adam_(
            p, g, m, v, [], steps, lr=learning_rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip
