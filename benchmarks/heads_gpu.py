"""The paper's whole grid on a GPU: `python benchmarks/heads_gpu.py [--seeds 10] [--device cuda]`.

Both encoders, Planet's and ADE20K's sizes, seven up-weighting factors, undersampling, oversampling, 20
epochs of the paper's head: 36 heads a seed. Features and labels are random; rows an epoch are the paper's
(Planet: 24,287, 1,900 and 317,000; ADE20K: 5,285, 1,180 and 44,820). Times include the transfer to the
device, the schedule, captures and the transfer back.
"""

import argparse
import platform
import time
from dataclasses import dataclass

import numpy as np
import torch
from record import check, keep

from imbpipe.heads.bank import train_heads
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.plan import Phase, Plan

FACTORS = (1, 1.5, 2, 2.5, 3, 5, 10)


@dataclass(frozen=True)
class Size:
    rows: int
    classes: int
    fewer: int
    more: int
    loss: str


SIZES = {
    "planet": Size(24_287, 17, 1_900, 317_000, "bce"),
    "ade20k": Size(5_285, 20, 1_180, 44_820, "softmax"),
}


def material(size: Size, dimension: int = 512) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((size.rows, dimension), np.float32)
    if size.loss == "softmax":
        return features, np.eye(size.classes, dtype=bool)[np.arange(size.rows) % size.classes]
    labels = rng.random((size.rows, size.classes)) < 0.2
    labels[0] = True
    return features, labels


def grid(size: Size, labels: np.ndarray, seeds: int) -> list[Run]:
    rare = labels[:, :5].any(1)
    train, none = np.arange(size.rows), np.arange(0)
    runs = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        phases = [Phase(weight=np.where(rare, f, 1).astype(np.float32), loss=size.loss) for f in FACTORS]
        for count in (size.fewer, size.more):
            drawn = count + int(rng.integers(-count // 300, count // 300 + 1))
            phases.append(Phase(rows=rng.integers(0, size.rows, drawn), loss=size.loss))
        runs += [Run(train, none, Plan((phase,)), seed) for phase in phases]
    return runs


def timed(name: str, seeds: int, device: str) -> tuple[int, float]:
    """Heads and seconds of one encoder's grid on one data set."""
    size = SIZES[name]
    features, labels = material(size)
    runs = grid(size, labels, seeds)
    started = time.perf_counter()
    heads = sum(len(bank.runs) for bank in train_heads(features, labels, runs, Protocol(), device=device))
    return heads, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    check(options.device)
    cuda = options.device.startswith("cuda")
    machine = (
        torch.cuda.get_device_name() if cuda else f"{platform.processor()} {torch.get_num_threads()} threads"
    )
    if cuda:
        torch.zeros(1, device=options.device)  # the driver's start is not the grid's
    total_heads, total = 0, 0.0
    parts = []
    for encoder in ("clip", "resnet18"):
        for name in SIZES:
            heads, seconds = timed(name, options.seeds, options.device)
            parts.append({"encoder": encoder, "dataset": name, "heads": heads, "seconds": seconds})
            total_heads, total = total_heads + heads, total + seconds
            print(
                f"{encoder:9} {name:8} {heads:4} heads {seconds:8.2f} s {heads / seconds:8.1f} heads/s",
                flush=True,
            )
    print(f"whole grid, {options.seeds} seeds: {total_heads} heads in {total:.2f} s on {machine}")
    if cuda:
        report = {"device": machine, "seeds": options.seeds, "heads": total_heads, "seconds": total}
        keep("heads_gpu", {**report, "parts": parts})


if __name__ == "__main__":
    main()
