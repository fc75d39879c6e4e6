"""Where a training step's time goes, on one thread: each part's share, each product's own best rate."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from imbpipe.heads.bank import as_tensor
from imbpipe.heads.batches import Data
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.slices import Group, Slice
from imbpipe.heads.train import train_slice

PARTS = {
    "first layer's products": ("mkldnn::_linear_pointwise",),
    "second layer's products": ("aten::bmm", "aten::baddbmm"),
    "Adam": ("aten::_fused_adam_",),
    "gathering rows and labels": ("aten::index_select",),
    "dropout masks": ("aten::bitwise_", "aten::lt", "aten::arange", "aten::__"),
}
"""Beginnings of the names of torch's operations; the others are loss, ReLU, sums and copies."""


def rate(multiply: Callable[[], object], flops: float, times: int = 9) -> float:
    """Multiplications and additions a second, at best."""
    repeats = max(1, int(2e9 / flops))
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        for _ in range(repeats):
            multiply()
        taken.append((time.perf_counter() - started) / repeats)
    return flops / min(taken)


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """a @ b^T."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, b, None, "none", [], "")
    return product


def rates(size: int, heads: int, hidden: int, d: int, c: int, batch: int) -> dict[str, tuple[float, float]]:
    """GFLOP/s of each product by torch.bmm and by oneDNN, on one thread, at the shapes of a slice."""
    a, x, w = torch.rand(size, size), torch.rand(batch, d), torch.rand(heads, hidden, d)
    v, slope = torch.rand(heads, c, hidden), torch.rand(heads, hidden, batch)
    units, top = torch.rand(heads, hidden, batch), torch.rand(heads, c, batch)
    shared = x.expand(heads, -1, -1)
    return {
        f"{size} x {size} with itself": (by_torch(a[None], a[None]), by_onednn(a, a)),
        "weights with features": (by_torch(w, shared.mT), by_onednn(w.flatten(0, 1), x)),
        "the same, one head": (by_torch(w[:1], shared[:1].mT), by_onednn(w[0], x)),
        "slopes with features": (by_torch(slope, shared), by_onednn(slope.flatten(0, 1), x.T)),
        "the same, one head ": (by_torch(slope[:1], shared[:1]), by_onednn(slope[0], x.T)),
        "second layer, forward": (by_torch(v, units), by_onednn(v[0], units[0].T)),
        "second layer, weights": (by_torch(top, units.mT), by_onednn(top[0], units[0])),
        "second layer, units": (by_torch(v.mT, top), by_onednn(v[0].T.contiguous(), top[0].T)),
    }


def by_torch(a: Tensor, b: Tensor) -> float:
    """GFLOP/s of a stack of products."""
    return rate(lambda: torch.bmm(a, b), 2.0 * a.numel() * b.shape[2]) / 1e9


def by_onednn(a: Tensor, b: Tensor) -> float:
    """GFLOP/s of one product, a @ b^T."""
    return rate(lambda: onednn(a, b), 2.0 * a.numel() * len(b)) / 1e9


def shares(x: np.ndarray, y: np.ndarray, runs: list[Run], together: bool) -> tuple[float, dict[str, float]]:
    """Microseconds a head and step of one slice, and of each part; with the profiler's own cost in them."""
    protocol = Protocol(epochs=1)
    data = Data(as_tensor(x, np.dtype("f4")), torch.from_numpy(y.astype(np.float32)))
    steps = -(-len(runs[0].train) // protocol.batch_size)
    numbers = tuple(range(len(runs)))
    groups = (Group(numbers, (steps,)),) if together else tuple(Group((n,), (steps,)) for n in numbers)

    def train() -> float:
        started = time.perf_counter()
        train_slice(Slice(groups), runs, data, protocol, lambda: False)
        return 1e6 * (time.perf_counter() - started) / len(runs) / steps

    plain = statistics.median(train() for _ in range(3))
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        watched_time = train()
    parts: dict[str, float] = defaultdict(float)
    for event in watched.key_averages():
        part = next(
            (p for p, names in PARTS.items() if event.key.startswith(names)), "loss, ReLU, sums, copies"
        )
        parts[part] += event.self_cpu_time_total / len(runs) / steps
    parts["Python and dispatch"] = max(0.0, watched_time - sum(parts.values()))
    return plain, dict(parts)


@torch.inference_mode()
def show(x: np.ndarray, y: np.ndarray, shared: list[Run], alone: list[Run]) -> None:
    """Print it all. shared: runs with the same batches; alone: runs each with its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        d, c = x.shape[1], y.shape[1]
        print(f"{'one thread, GFLOP/s':30} torch.bmm    oneDNN")
        found = rates(2048, len(shared), 128, d, c, 64)
        for name, (by_torch, by_onednn) in found.items():
            print(f"{name:30} {by_torch:9.0f} {by_onednn:9.0f}")
        peak = max(next(iter(found.values())))
        first, second = 4 * 64 * 128 * d, 6 * 64 * 128 * c
        for title, runs, together in (
            (f"{len(shared)} heads on the same batches", shared, True),
            (f"{len(alone)} heads on their own batches", alone, False),
        ):
            plain, parts = shares(x, y, runs, together)
            print(f"\n{title}: {plain:.0f} us a head and step; under the profiler:")
            for part, time_taken in sorted(parts.items(), key=lambda item: -item[1]):
                print(f"  {part:28} {time_taken:6.1f} us  {time_taken / sum(parts.values()):4.0%}")
            bound = (first + second) / peak / 1e3
            print(f"  all products at the peak of {peak:.0f} GFLOP/s and nothing else: {bound:.0f} us")
    finally:
        torch.set_num_threads(threads)
