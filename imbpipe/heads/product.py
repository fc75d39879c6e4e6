"""The first layer's products, which are most of the work: weights with features, slopes with features.

In float32 on a CPU they run in oneDNN, which picks its code by what the processor can do; the library of
torch.bmm picks by who made the processor, and is half as fast on some (benchmarks/heads.py --profile
shows both). oneDNN gives a row of a product the same bits however many rows stand around it, so a head's
do not depend on its neighbours.
"""

from typing import Protocol

import torch
from torch import Tensor

from imbpipe.heads.align import ALIGN


class Layer(Protocol):
    """K heads' first layer. x: (1 or K, batch, d), the same for all heads or each its own."""

    def forward(self, x: Tensor) -> Tensor:
        """weight @ x^T + bias, (K, rows, batch), valid until the next call; may be overwritten."""

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        """slope @ x, the weight's gradient: one a group; empty if it is in its place."""


def layer(weight: Tensor, bias: Tensor, gradient: Tensor, batch: int) -> Layer:
    """weight, gradient: (K, rows, d). bias: (K, rows, 1)."""
    one_matrix = weight[0].numel() % ALIGN == 0
    onednn = torch.backends.mkldnn.is_available() and weight.device.type == "cpu"
    if onednn and one_matrix and weight.dtype == torch.float32:
        return _Wide(weight, bias)
    return _Batched(weight, bias, gradient, batch)


class _Batched:
    def __init__(self, weight: Tensor, bias: Tensor, gradient: Tensor, batch: int) -> None:
        self.weight, self.bias, self.gradient = weight, bias, gradient
        self.out = weight.new_empty(*bias.shape[:2], batch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, self.weight, x.expand(len(self.weight), -1, -1).mT, out=self.out)

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        torch.bmm(slope, x.expand(len(slope), -1, -1), out=self.gradient)
        return []


class _Wide:
    """All heads' weights as one matrix where they share x, else one product a head.

    That suits the slices of a CPU: one group, or groups of one head.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias
        self.shape = (*bias.shape[:2], -1)
        self.all, self.each = weight.flatten(0, 1), weight.unbind()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            out = _product(self.all, x[0])
        else:
            out = torch.cat([_product(w, each) for w, each in zip(self.each, x.unbind(), strict=True)])
        return out.view(self.shape).add_(self.bias)

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        if len(x) == 1:
            return [_product(slope.flatten(0, 1), x[0].T)]
        return [_product(s, each.T) for s, each in zip(slope.unbind(), x.unbind(), strict=True)]


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b^T. a: (m, k), contiguous. b: (n, k)."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, b, None, "none", [], "")
    return product
