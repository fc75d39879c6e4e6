"""The first layer's products: a head's bits do not depend on what is multiplied beside it."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from heads_by_hand import train_by_hand
from hypothesis import given, settings
from test_heads import SMALL, assert_same_head, many, material, plain, trained

from imbpipe.heads.product import layer
from imbpipe.heads.run import HeadConfig, Run

SIZES = (1, 5, 32, 64, 96, 512)


def first_layer(heads: int, rows: int, d: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    new = torch.randn(heads * rows * (d + 1), generator=generator).split([heads * rows * d, heads * rows])
    return {"weight": new[0].view(heads, rows, d), "bias": new[1].view(heads, rows, 1)}


def both_ways(p: dict[str, torch.Tensor], x: torch.Tensor, slope: torch.Tensor) -> list[torch.Tensor]:
    """The layer's outputs, and the weight's gradient, (K, rows, d), wherever it lies."""
    gradient = torch.empty_like(p["weight"])
    one = layer(p["weight"], p["bias"], gradient, x.shape[1])
    out = one.forward(x).clone()
    elsewhere = one.backward(x, slope)
    return [out, torch.cat(elsewhere).view_as(gradient) if elsewhere else gradient]


@settings(max_examples=60)
@given(
    st.integers(2, 6),
    st.sampled_from((32, 64, 128)),
    st.sampled_from(SIZES),
    st.booleans(),
    st.integers(0, 9),
)
@torch.inference_mode()
def test_a_head_s_products_have_the_same_bits_in_a_stack_and_alone(
    heads: int, rows: int, d: int, shared: bool, seed: int
) -> None:
    p = first_layer(heads, rows, d, seed)
    x, slope = torch.randn(1 if shared else heads, 64, d), torch.randn(heads, rows, 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        together = both_ways(p, x, slope)
        for k in range(heads):
            own = {name: value[k : k + 1].clone() for name, value in p.items()}
            alone = both_ways(own, x if shared else x[k : k + 1], slope[k : k + 1].clone())
            for stacked, single in zip(together, alone, strict=True):
                assert torch.equal(stacked[k], single[0])
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(together[0], p["weight"] @ x.mT + p["bias"], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(together[1], slope @ x, atol=1e-3, rtol=1e-4)


@settings(max_examples=10)
@given(many(2), st.sampled_from([0.0, 0.5]))
def test_heads_of_whole_cache_lines_are_the_same_together_and_alone(runs: list[Run], dropout: float) -> None:
    protocol = replace(SMALL, head=HeadConfig("mlp", 32, dropout))
    together = trained(runs, protocol, np.float32)
    for run, parameters in zip(runs, together, strict=True):
        (alone,) = trained([run], protocol, np.float32)
        for name, value in alone.items():
            np.testing.assert_array_equal(parameters[name], value, err_msg=name)


@pytest.mark.parametrize("shared", [True, False])
def test_heads_of_whole_cache_lines_equal_a_plain_torch_loop(shared: bool) -> None:
    protocol = replace(SMALL, head=HeadConfig("mlp", 32), learning_rate=1e-3)
    weights = np.random.default_rng(0).integers(1, 4, (4, 40)).astype(np.float32)
    runs = [plain(0 if shared else seed, weight=weight) for seed, weight in enumerate(weights)]
    features, labels = material(np.float32)
    for run, parameters in zip(runs, trained(runs, protocol, np.float32), strict=True):
        assert_same_head(parameters, train_by_hand(features, labels, run, protocol), 1e-5)


def test_without_onednn_heads_are_trained_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = replace(SMALL, head=HeadConfig("mlp", 32))
    expected = trained([plain(), plain(1)], protocol, np.float32)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    for left, right in zip(expected, trained([plain(), plain(1)], protocol, np.float32), strict=True):
        for name, value in left.items():
            np.testing.assert_allclose(right[name], value, atol=1e-4, err_msg=name)
