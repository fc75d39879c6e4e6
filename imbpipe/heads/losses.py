"""Losses by name: the gradient with respect to the logits, over a stack of k heads at once.

Logits z, targets y and weights w are (k, c, batch): heads, classes, rows; the results are w times the
derivative of each row's loss. Targets lie in [0, 1]. A loss's parameter is (k, 1 or c, 1): a number a
head, or a number a class. z may be overwritten.

Balanced softmax and logit-adjusted losses are "softmax" or "bce" with an offset in the phase;
class-balanced ones are any loss with weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

Parameters = Mapping[str, Any]
Gradient = Callable[[Tensor, Tensor, Tensor, Parameters], Tensor]


@dataclass(frozen=True)
class Loss:
    """One row of the table.

    link: what turns logits into scores. A batch's loss is the mean over its rows, for a sigmoid loss over
        its rows and classes; weights are not normalised.
    defaults: the parameters, with their values where a plan names none; None: the plan must.
    """

    link: Literal["sigmoid", "softmax"]
    gradient: Gradient
    defaults: Parameters = field(default_factory=dict)


def _bce(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Binary cross-entropy."""
    return z.sigmoid_().sub_(y).mul_(w)


def _focal(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """(1 - p_t)^gamma times cross-entropy, positives times alpha, negatives times 1 - alpha.

    alpha below 0: no such factor, as in torchvision. Source: Lin et al. (2017), equation 5.
    """
    gamma, alpha = p["gamma"], p["alpha"]
    q = torch.sigmoid(z)
    miss = (q + y - 2 * q * y).clamp_(min=1e-30)  # 1 - p_t; above 0 because gamma - 1 may be below
    entropy = softplus(z) - y * z
    slope = miss**gamma * (q - y) + gamma * miss ** (gamma - 1) * (1 - 2 * y) * q * (1 - q) * entropy
    return slope * w * torch.where(alpha < 0, 1, alpha * y + (1 - alpha) * (1 - y))


def _asymmetric(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Focal with an exponent a side; a negative's probability is lowered by `clip`, to 0 at most.

    Source: Ridnik et al. (2021), equations 5 to 7.
    """
    up, down = p["gamma_pos"], p["gamma_neg"]
    q, rest = torch.sigmoid(z), torch.sigmoid(-z)
    low = (q - p["clip"]).clamp_(min=0)
    high = (rest + p["clip"]).clamp_(1e-8, 1)  # 1 - low
    positive = rest**up * (up * q * logsigmoid(z) - rest)
    negative = low**down * q * rest / high - down * low ** (down - 1) * torch.log(high) * q * rest
    return w * (y * positive + (1 - y) * torch.where(low > 0, negative, 0))


def _negative_tolerant(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Focal, with the logits of negatives times `scale` and their loss divided by it.

    Source: Wu et al. (2020), negative-tolerant regularisation, and the focal factor of their code.
    """
    plain = {"gamma": p["gamma"], "alpha": torch.full_like(p["gamma"], -1)}
    positive = _focal(z, torch.ones_like(z), w * y, plain)
    return _focal(z * p["scale"], torch.zeros_like(z), w * (1 - y), plain).add_(positive)


def _softmax(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Cross-entropy of a softmax over classes; a weight counts with its class's share of the target."""
    target = w * y
    return torch.softmax(z, 1).mul_(target.sum(1, keepdim=True)).sub_(target)


def _ldam(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Softmax cross-entropy at a scale, with each true class's logit lowered by its margin.

    Source: Cao et al. (2019), equation 13.
    """
    return _softmax(p["scale"] * (z - y * p["margin"]), y, w, p).mul_(p["scale"])


LOSSES: dict[str, Loss] = {
    "bce": Loss("sigmoid", _bce),
    "focal": Loss("sigmoid", _focal, {"gamma": 2.0, "alpha": 0.25}),
    "asymmetric": Loss("sigmoid", _asymmetric, {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": 0.05}),
    "negative-tolerant": Loss("sigmoid", _negative_tolerant, {"scale": 2.0, "gamma": 2.0}),
    "softmax": Loss("softmax", _softmax),
    "ldam": Loss("softmax", _ldam, {"margin": None, "scale": 30.0}),
}
