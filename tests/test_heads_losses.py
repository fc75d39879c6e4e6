"""Every loss of the table: its slope is the derivative of what other libraries compute."""

from typing import Any

import numpy as np
import pytest
import torch
from heads_by_hand import VALUES
from hypothesis import given
from hypothesis import strategies as st
from timm.loss import AsymmetricLossMultiLabel
from torch import Tensor
from torch.nn.functional import cross_entropy

from imbpipe.heads.losses import LOSSES

ROWS, CLASSES = 11, 4
MARGIN = np.array([0.5, 0.4, 0.2, 0.1])
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "bce": [{}],
    "focal": [{"gamma": g, "alpha": a} for g in (0.0, 0.5, 1.0, 2.0, 5.0) for a in (-1.0, 0.25)],
    "asymmetric": [
        {"gamma_pos": p, "gamma_neg": n, "clip": c}
        for p in (0.0, 1.0)
        for n in (0.0, 1.0, 4.0)
        for c in (0, 0.05)
    ],
    "negative-tolerant": [{"scale": s, "gamma": g} for s in (1.0, 2.0, 5.0) for g in (0.0, 1.0, 2.0)],
    "softmax": [{}],
    "ldam": [{"margin": MARGIN, "scale": scale} for scale in (1.0, 30.0)],
}


def sample(seed: int, spread: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, hard targets of the right kind, weights: (1, c, rows) each, float64."""
    rng = np.random.default_rng(seed)
    z = torch.tensor(spread * rng.normal(size=(1, CLASSES, ROWS)))
    y = torch.tensor(rng.random((1, CLASSES, ROWS)) < 0.4).double()
    return z, y, torch.tensor(rng.random((1, CLASSES, ROWS)))


def single(y: Tensor) -> Tensor:
    """One class a row."""
    return torch.nn.functional.one_hot(y.argmax(1), CLASSES).mT.double()


def stacked(parameters: dict[str, Any]) -> dict[str, Tensor]:
    return {
        k: torch.tensor(np.atleast_1d(v), dtype=torch.float64).reshape(1, -1, 1)
        for k, v in parameters.items()
    }


def slope_by_autograd(name: str, z: Tensor, y: Tensor, w: Tensor, parameters: dict[str, Any]) -> Tensor:
    z = z.clone().requires_grad_()
    (w[0].T * VALUES[name](z[0].T, y[0].T, **parameters)).sum().backward()
    assert z.grad is not None
    return z.grad


def test_every_loss_of_the_table_is_tested_here() -> None:
    assert set(PARAMETERS) == set(VALUES) == set(LOSSES)


@given(st.sampled_from([(n, p) for n, each in PARAMETERS.items() for p in each]), st.integers(0, 10**6))
def test_the_slope_of_a_loss_is_what_autograd_finds(case: tuple[str, dict[str, Any]], seed: int) -> None:
    name, parameters = case
    z, y, w = sample(seed)
    y = single(y) if LOSSES[name].link == "softmax" else y
    expected = slope_by_autograd(name, z, y, w, parameters)
    torch.testing.assert_close(
        LOSSES[name].gradient(z, y, w, stacked(parameters)), expected, atol=1e-9, rtol=1e-7
    )


@pytest.mark.parametrize("name", LOSSES)
def test_soft_targets_between_0_and_1_have_their_slope_too(name: str) -> None:
    z, _, w = sample(1)
    y = torch.softmax(torch.tensor(np.random.default_rng(2).normal(size=(1, CLASSES, ROWS))), 1)
    for parameters in PARAMETERS[name]:
        expected = slope_by_autograd(name, z, y, w, parameters)
        mine = LOSSES[name].gradient(z.clone(), y, w, stacked(parameters))
        torch.testing.assert_close(mine, expected, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_logits_far_out_have_finite_slopes(name: str, dtype: torch.dtype) -> None:
    z = (
        torch.tensor([-1e4, -200.0, -90.0, -20.0, 0.0, 20.0, 90.0, 200.0, 1e4])
        .repeat(1, CLASSES, 1)
        .to(dtype)
    )
    for y in (torch.zeros_like(z), torch.ones_like(z)):
        for parameters in PARAMETERS[name]:
            p = {key: value.to(dtype) for key, value in stacked(parameters).items()}
            assert LOSSES[name].gradient(z.clone(), y, torch.ones_like(z), p).isfinite().all()


@pytest.mark.parametrize("parameters", PARAMETERS["asymmetric"])
def test_the_asymmetric_loss_is_timms(parameters: dict[str, float]) -> None:
    z, y, _ = sample(3)
    timms = AsymmetricLossMultiLabel(parameters["gamma_neg"], parameters["gamma_pos"], parameters["clip"])
    mine = VALUES["asymmetric"](z[0].T, y[0].T, **parameters).sum() / ROWS
    assert float(mine) == pytest.approx(float(timms(z[0].T, y[0].T)), rel=1e-5)
    z.requires_grad_()
    timms(z[0].T, y[0].T).backward()
    share = torch.full_like(y, 1 / ROWS)
    slope = LOSSES["asymmetric"].gradient(z.detach().clone(), y, share, stacked(parameters))
    torch.testing.assert_close(slope, z.grad, atol=1e-5, rtol=1e-5)


def test_the_negative_tolerant_loss_without_focal_factor_is_the_formula_of_its_paper() -> None:
    z, y, w = sample(6)
    leaf, scale = z.clone().requires_grad_(), 5.0
    positive, negative = (1 + (-leaf).exp()).log(), (1 + (scale * leaf).exp()).log() / scale
    (w * (y * positive + (1 - y) * negative)).sum().backward()
    slope = LOSSES["negative-tolerant"].gradient(z, y, w, stacked({"scale": scale, "gamma": 0.0}))
    torch.testing.assert_close(slope, leaf.grad)


def test_balanced_softmax_and_ldam_are_cross_entropy_of_moved_logits() -> None:
    z, y, _ = sample(4)
    y, ones = single(y), torch.ones_like(z)
    offset, margin = torch.tensor(np.log([0.6, 0.2, 0.15, 0.05]))[:, None], torch.tensor(MARGIN)[:, None]
    for name, moved, factor, parameters in (
        ("softmax", lambda z: z + offset, 1.0, {}),
        ("ldam", lambda z: 30 * (z - y * margin), 1.0, {"margin": MARGIN, "scale": 30.0}),
    ):
        leaf = z.clone().requires_grad_()
        (factor * cross_entropy(moved(leaf), y.argmax(1), reduction="sum")).backward()
        given_z = z + offset if name == "softmax" else z.clone()
        torch.testing.assert_close(LOSSES[name].gradient(given_z, y, ones, stacked(parameters)), leaf.grad)


def test_heads_of_one_stack_each_have_their_own_parameters() -> None:
    z, y, w = sample(5)
    both = {
        "gamma": torch.tensor([1.0, 3.0])[:, None, None],
        "alpha": torch.tensor([0.25, -1.0])[:, None, None],
    }
    together = LOSSES["focal"].gradient(z.expand(2, -1, -1).clone(), y, w, both)
    for head, parameters in enumerate(({"gamma": 1.0, "alpha": 0.25}, {"gamma": 3.0, "alpha": -1.0})):
        alone = LOSSES["focal"].gradient(z.clone(), y, w, stacked(parameters))
        torch.testing.assert_close(together[head : head + 1], alone)
