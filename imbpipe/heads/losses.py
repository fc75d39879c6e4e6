"""Losses by name: value and gradient with respect to the logits, over a stack of k heads at once.

Logits z, targets y and weights w are (k, c, b): heads, classes, rows of the batch. Targets lie in
[0, 1]. A parameter of a loss is a number (k, 1, 1) or a number per class (k, c, 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Loss:
    """One row of the table.

    link: what turns logits into scores. A sigmoid loss is a mean over batch and classes, a softmax
        loss a mean over the batch.
    value: w * loss, summed over nothing: (k, c, b). gradient: its derivative with respect to z.
    defaults: parameters and their values where a plan names none; None: the plan must.
    """

    link: Literal["sigmoid", "softmax"]
    value: Callable[[Tensor, Tensor, Tensor, Parameters], Tensor]
    gradient: Callable[[Tensor, Tensor, Tensor, Parameters], Tensor]
    defaults: Parameters = field(default_factory=dict)


def _bce(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    return w * (softplus(z) - y * z)


def _bce_gradient(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    return torch.sigmoid(z).sub_(y).mul_(w)


def _focal(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Lin et al. (2017), equation 5; alpha below 0: no balancing (as torchvision has it)."""
    q = torch.sigmoid(z)
    off = q + y - 2 * q * y  # 1 - p_t
    return w * _balance(y, p["alpha"]) * off ** p["gamma"] * (softplus(z) - y * z)


def _focal_gradient(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    q = torch.sigmoid(z)
    off = q + y - 2 * q * y
    slope = off ** p["gamma"] * (q - y)
    bend = p["gamma"] * off ** (p["gamma"] - 1) * (1 - 2 * y) * q * (1 - q) * (softplus(z) - y * z)
    return w * _balance(y, p["alpha"]) * (slope + bend)


def _balance(y: Tensor, alpha: Tensor) -> Tensor:
    return torch.where(alpha < 0, 1.0, alpha * y + (1 - alpha) * (1 - y))


def _softmax(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    return -w * y * torch.log_softmax(z, 1)


def _softmax_gradient(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    weighted = w * y
    return torch.softmax(z, 1) * weighted.sum(1, keepdim=True) - weighted


def _asymmetric(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Ridnik et al. (2021), equations 5 to 7: a focusing exponent a side, negatives shifted."""
    q = torch.sigmoid(z)
    shifted = (q - p["clip"]).clamp(min=0)
    positive = (1 - q) ** p["gamma_pos"] * logsigmoid(z)
    negative = shifted ** p["gamma_neg"] * torch.log1p(-shifted)
    return -w * (y * positive + (1 - y) * negative)


def _asymmetric_gradient(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    q = torch.sigmoid(z)
    up, down = p["gamma_pos"], p["gamma_neg"]
    shifted = (q - p["clip"]).clamp(min=0)
    # d/dz of (1 - q)^up log q and of s^down log(1 - s), with s = q - clip where that is positive
    positive = (1 - q) ** up * (1 - q - up * q * logsigmoid(z))
    inner = down * shifted ** (down - 1) * torch.log1p(-shifted) - shifted**down / (1 - shifted)
    negative = torch.where(shifted > 0, inner * q * (1 - q), 0.0)
    return -w * (y * positive + (1 - y) * negative)


def _ldam(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    """Cao et al. (2019), equation 13: the true class's logit less its margin, then softmax at a scale."""
    return _softmax(p["scale"] * (z - y * p["margin"]), y, w, p)


def _ldam_gradient(z: Tensor, y: Tensor, w: Tensor, p: Parameters) -> Tensor:
    return p["scale"] * _softmax_gradient(p["scale"] * (z - y * p["margin"]), y, w, p)


LOSSES: dict[str, Loss] = {
    "bce": Loss("sigmoid", _bce, _bce_gradient),
    "focal": Loss("sigmoid", _focal, _focal_gradient, {"gamma": 2.0, "alpha": 0.25}),
    "asymmetric": Loss(
        "sigmoid", _asymmetric, _asymmetric_gradient, {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": 0.05}
    ),
    "softmax": Loss("softmax", _softmax, _softmax_gradient),
    "ldam": Loss("softmax", _ldam, _ldam_gradient, {"margin": None, "scale": 30.0}),
}
"""Balanced softmax and logit-adjusted losses are "softmax" or "bce" with an offset in the phase."""
