"""K heads' parameters, gradients and Adam moments, one row a head."""

from collections.abc import Sequence

import torch
from torch import Tensor

from imbpipe.heads.align import aligned
from imbpipe.heads.network import Shapes, initial

Blocks = dict[str, Tensor]
"""By parameter, (K, width): a head's numbers, then zeros up to a whole of cache lines."""


def width(layers: Shapes) -> int:
    """Numbers that a head takes in all its blocks."""
    return sum(aligned(rows * columns) for rows, columns in layers.values())


class Stack:
    """K heads in groups of equal size; a group's Adam counts its own steps."""

    def __init__(self, layers: Shapes, seeds: list[int], groups: int, like: Tensor) -> None:
        self.layers = layers
        self.parameters, self.gradient, self._mean, self._square = (
            {name: like.new_zeros(len(seeds), aligned(r * c)) for name, (r, c) in layers.items()}
            for _ in range(4)
        )
        self.steps = torch.zeros(groups, device=like.device)
        start = {seed: initial(layers, seed) for seed in set(seeds)}
        for name, view in self.views(self.parameters).items():
            view.copy_(torch.stack([start[seed][name] for seed in seeds]))

    def views(self, of: Blocks, heads: slice = slice(None)) -> dict[str, Tensor]:
        """The heads' (k, rows, columns) in `of`, by name."""
        return {
            name: of[name][heads, : rows * columns].unflatten(1, (rows, columns))
            for name, (rows, columns) in self.layers.items()
        }


class Adam:
    """`torch.optim.Adam` for the first `groups` groups of a stack, `heads` heads."""

    def __init__(self, stack: Stack, groups: int, heads: int) -> None:
        blocks = (stack.parameters, stack.gradient, stack._mean, stack._square)
        self._p, self._g, self._m, self._v = (
            [part for block in of.values() for part in block[:heads].view(groups, -1)] for of in blocks
        )
        self._count = stack.steps[:groups]
        self._steps = [*self._count] * len(stack.layers)

    def step(self, learning_rate: float, first: Sequence[Tensor] = ()) -> None:
        """One step in one pass over memory. first: gradients of the first layer, one a group."""
        self._count.add_(1)
        gradient = [each.view(-1) for each in first] + self._g[len(first) :]
        torch._fused_adam_(
            self._p, gradient, self._m, self._v, [], self._steps, lr=learning_rate, beta1=0.9, beta2=0.999,
            weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip
