"""The classifiers, K of them stacked: shapes, initialisation, logits, and gradients written out by hand.

Activations are (K, units, batch), so that a head's block is contiguous in every product.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from imbpipe.heads import product
from imbpipe.heads.run import HeadConfig

Shapes = dict[str, tuple[int, int]]
Views = Mapping[str, Tensor]
"""Parameters by name, (K, rows, columns)."""

SCALE = 10.0
"""Where the learned scale of a cosine head starts: Gidaris & Komodakis (2018), section 3.2."""


def shapes(head: HeadConfig, dimension: int, classes: int) -> Shapes:
    """Rows and columns of each parameter of one head, in the order of initialisation."""
    layers: Shapes = {}
    if head.kind == "mlp":
        layers |= {"hidden.weight": (head.hidden, dimension), "hidden.bias": (head.hidden, 1)}
        dimension = head.hidden
    layers |= {"output.weight": (classes, dimension), "output.bias": (classes, 1)}
    if head.kind == "cosine":
        layers["output.scale"] = (1, 1)
    return layers


def initial(layers: Shapes, seed: int) -> dict[str, Tensor]:
    """What `torch.nn.Linear` layers start from after `torch.manual_seed(seed)`, float32."""
    generator = torch.Generator().manual_seed(seed)
    values = {}
    for name, shape in layers.items():
        value = values[name] = torch.full(shape, SCALE)
        if name.endswith("weight"):
            torch.nn.init.kaiming_uniform_(value, a=5**0.5, generator=generator)
            bound = shape[1] ** -0.5
        elif name.endswith("bias"):
            value.uniform_(-bound, bound, generator=generator)
    return values


def logits(p: Views, x: Tensor) -> Tensor:
    """(K, n, c) of features x (n, d), without dropout."""
    x = x.expand(len(p["output.weight"]), -1, -1)
    if "hidden.weight" in p:
        x = torch.baddbmm(p["hidden.bias"].mT, x, p["hidden.weight"].mT).relu_()
    weight = p["output.weight"]
    if "output.scale" in p:
        x, weight = normalize(x, dim=2), normalize(weight, dim=2) * p["output.scale"]
    return torch.baddbmm(p["output.bias"].mT, x, weight.mT)


class Network(Protocol):
    """One training step's two halves over K heads. x: (1 or K, batch, d)."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The logits (K, c, batch), valid until the next call. mask: (1 or K, hidden, batch)."""

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        """Fill the gradients' views from the loss's slope at the logits, (K, c, batch).

        Returns the first layer's weight gradient where it lies elsewhere, one a group.
        """


class Linear:
    def __init__(self, p: Views, g: Views, batch: int, keep: float) -> None:
        self.p, self.g = p, g
        self.layer = product.layer(p["output.weight"], p["output.bias"], g["output.weight"], batch)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.layer.forward(x)

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        torch.sum(slope, 2, keepdim=True, out=self.g["output.bias"])
        return self.layer.backward(x, slope)


class Mlp:
    """Linear, ReLU, dropout, Linear. The factor 1 / keep of dropout rides on the products around it."""

    def __init__(self, p: Views, g: Views, batch: int, keep: float) -> None:
        self.p, self.g, self.factor = p, g, 1 / keep
        new = p["hidden.weight"].new_empty
        self.layer = product.layer(p["hidden.weight"], p["hidden.bias"], g["hidden.weight"], batch)
        self.slope = new(*p["hidden.bias"].shape[:2], batch)
        self.z = new(*p["output.bias"].shape[:2], batch)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        p = self.p
        self.units = self.layer.forward(x).relu_()
        if mask is not None:
            self.units.mul_(mask)
        return torch.baddbmm(p["output.bias"], p["output.weight"], self.units, alpha=self.factor, out=self.z)

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        g = self.g
        torch.sum(slope, 2, keepdim=True, out=g["output.bias"])
        self._product(slope, self.units.mT, g["output.weight"])
        self._product(self.p["output.weight"].mT, slope, self.slope)
        # dropped and negative units are both 0 in `units`, so one threshold is ReLU's and dropout's slope
        torch.ops.aten.threshold_backward.grad_input(self.slope, self.units, 0, grad_input=self.slope)
        torch.sum(self.slope, 2, keepdim=True, out=g["hidden.bias"])
        return self.layer.backward(x, self.slope)

    def _product(self, a: Tensor, b: Tensor, out: Tensor) -> None:
        torch.baddbmm(out, a, b, beta=0, alpha=self.factor, out=out)


class Cosine:
    """Scale times the cosine between features and each class's weight, plus a bias.

    Source: Gidaris & Komodakis (2018), section 3.2; the bias lets sigmoids fit rare classes.
    """

    def __init__(self, p: Views, g: Views, batch: int, keep: float) -> None:
        self.p, self.g = p, g
        weight = p["output.weight"]
        # with the strides of the parameters, so that every head's block is aligned
        self.direction, self.pull = (
            weight.new_empty_strided(weight.shape, weight.stride()) for _ in range(2)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        weight = self.p["output.weight"]
        self.norm = weight.norm(dim=2, keepdim=True).clamp_(min=1e-12)
        torch.div(weight, self.norm, out=self.direction)
        self.x = normalize(x, dim=2).expand(len(weight), -1, -1)
        self.cosine = torch.bmm(self.direction, self.x.mT)
        return self.cosine * self.p["output.scale"] + self.p["output.bias"]

    def backward(self, x: Tensor, slope: Tensor) -> list[Tensor]:
        torch.sum(slope, 2, keepdim=True, out=self.g["output.bias"])
        torch.sum(slope * self.cosine, (1, 2), keepdim=True, out=self.g["output.scale"])
        torch.bmm(slope * self.p["output.scale"], self.x, out=self.pull)
        along = (self.pull * self.direction).sum(2, keepdim=True) * self.direction
        torch.div(self.pull.sub_(along), self.norm, out=self.g["output.weight"])
        return []


NETWORKS: dict[str, type[Linear] | type[Mlp] | type[Cosine]] = {
    "linear": Linear, "mlp": Mlp, "cosine": Cosine
}  # fmt: skip
