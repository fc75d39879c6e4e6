"""Time to train heads, ours against others', in one run: `python benchmarks/heads.py [--quick]`.

Planet's size: 24,287 x 512 random features, 17 labels, the paper's head, batch 64, 20 epochs. All take
turns in each round; times are medians over rounds, ratios are medians of the rounds' ratios. Peers run on
all of torch's threads and on one, and the faster counts: on several, small steps wait for each other. Ours
trains whole grids (up-weighting: groups of 7 runs a seed, as the paper's) for whole epochs, start and end
included. Peers whose whole run would take minutes train fewer steps; every time is per head and step and
multiplied up to 20 epochs. The peak is the product of two 2048 x 2048 matrices on all threads, by
torch.mm or by oneDNN, whichever is faster here, measured around everything in every round; the fraction
counts the head's five products. `--profile` prints instead where a step's time goes, and what each of its
products can reach at its own shape.
"""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import heads_peers as peers
import heads_profile as profiled
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from imbpipe.heads.bank import train_heads
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.plan import Phase, Plan

ROWS, DIMENSION, CLASSES, EPOCHS, BATCH, HIDDEN = 24_287, 512, 17, 20, 64, 128
FACTORS = (1, 1.5, 2, 2.5, 3, 5, 10)
GRIDS = {1: 6, 7: 3, 70: 1, 270: 1}
"""Heads, and how many epochs of them a round trains."""


def material(rows: int, d: int = DIMENSION, c: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.random((rows, c), np.float32) < 0.2
    labels[0] = True
    return rng.standard_normal((rows, d), np.float32), labels


def grid(heads: int, labels: np.ndarray) -> list[Run]:
    """Seeds times the paper's seven factors on the images of five rare classes."""
    rare = labels[:, :5].any(1)
    plans = [Plan((Phase(weight=np.where(rare, f, 1).astype(np.float32)),)) for f in FACTORS]
    train, none = np.arange(len(labels)), np.arange(0)
    return [Run(train, none, plans[k % len(plans)], k // len(plans)) for k in range(heads)]


def ours(x: np.ndarray, y: np.ndarray, heads: int, epochs: int) -> float:
    runs = grid(heads, y)
    started = time.perf_counter()
    assert sum(len(bank.runs) for bank in train_heads(x, y, runs, Protocol(epochs=epochs))) == heads
    return time.perf_counter() - started


def per_head_step(seconds: float, heads: int, steps: int) -> float:
    return seconds / heads / steps


def steps_of(rows: int) -> int:
    return -(-rows // BATCH)


def flops(d: int = DIMENSION, c: int = CLASSES) -> int:
    """Of one head's step: two products in the first layer, three in the second."""
    return 2 * BATCH * HIDDEN * (2 * d + 3 * c)


@torch.inference_mode()
def peaks(size: int = 2048, times: int = 3) -> tuple[float, float]:
    """Multiplications and additions a second by torch.mm and by oneDNN, on all threads."""
    a = torch.rand(size, size)
    found = []
    for multiply in (torch.mm, profiled.onednn):
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            multiply(a, a)
            taken.append(time.perf_counter() - started)
        found.append(2 * size**3 / statistics.median(taken))
    return found[0], found[1]


def one_round(x: np.ndarray, y: np.ndarray, grids: Sequence[int]) -> dict[str, float]:
    """Seconds per head and step of everyone, and the peak."""
    tx, ty = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))
    steps = steps_of(len(x))
    found = {}
    seen = [peaks()]
    for heads in grids:
        epochs = GRIDS[heads]
        found[f"imbpipe, {heads} heads"] = per_head_step(ours(x, y, heads, epochs), heads, epochs * steps)
        seen.append(peaks())
    for name, train, heads, some in (
        ("DataLoader, eager", peers.data_loader, 1, steps),
        ("index tensors, eager", peers.index_loop, 1, steps),
        ("scikit-learn MLPClassifier", peers.scikit_learn, 1, steps),
        ("ModuleDict, 70 heads", partial(peers.module_dict, heads=70), 70, 10),
        ("torch.func.vmap, 70 heads", partial(peers.vmap, heads=70), 70, 10),
    ):
        found[name] = per_head_step(fastest(partial(train, tx, ty, some)), heads, some)
        seen.append(peaks())
    by_mm, by_onednn = (statistics.median(each) for each in zip(*seen, strict=True))
    return {**found, "peak": max(by_mm, by_onednn), "peak of torch.mm": by_mm}


def fastest(train: Callable[[], float]) -> float:
    """Seconds on all threads or on one, whichever is less."""
    threads = torch.get_num_threads()
    taken = []
    for count in (threads, 1):
        torch.set_num_threads(count)
        with threadpool_limits(count):  # scikit-learn's products
            taken.append(train())
    torch.set_num_threads(threads)
    return min(taken)


def compare(rounds: int, grids: Sequence[int]) -> list[dict[str, float]]:
    x, y = material(ROWS)
    one_round(*material(20 * BATCH), grids[:1])  # warm up
    found = []
    for number in range(rounds):
        found.append(one_round(x, y, grids))
        print(f"round {number + 1} of {rounds}", flush=True)
    return found


def table(found: list[dict[str, float]], steps: int, encoding: float) -> dict[str, dict[str, float]]:
    """Seconds a head at 20 epochs, heads a second, how many times ours at 70 heads, share of the peak."""
    rows = {}
    for name in found[0]:
        if "peak" in name:
            continue
        seconds = statistics.median(each[name] for each in found) * steps
        rows[name] = {
            "seconds_per_head": seconds,
            "heads_per_second": 1 / seconds,
            "times_ours": statistics.median(each[name] / each["imbpipe, 70 heads"] for each in found),
            "share_of_peak": statistics.median(flops() / each[name] / each["peak"] for each in found),
        }
    ours_seconds = rows["imbpipe, 70 heads"]["seconds_per_head"]
    loop = rows["DataLoader, eager"]["seconds_per_head"]
    again = encoding * ROWS * EPOCHS + loop
    rows["re-encoding every epoch (computed)"] = {
        "seconds_per_head": again,
        "heads_per_second": 1 / again,
        "times_ours": again / ours_seconds,
    }
    return rows


def growth(quick: bool) -> dict[str, dict[str, float]]:
    """Milliseconds per head for an epoch, seven heads, one thing changed at a time."""

    def epoch(rows: int = 10_000, d: int = DIMENSION, c: int = CLASSES, heads: int = 7) -> float:
        x, y = material(rows, d, c)
        return 1e3 * ours(x, y, heads, 1) / heads

    found = {
        "rows": {rows: epoch(rows=rows) for rows in (10**4, 10**5, *(() if quick else (10**6,)))},
        "heads": {heads: epoch(heads=heads) for heads in (1, 2, 7, 14, 70, *(() if quick else (270,)))},
        "dimension": {d: epoch(d=d) for d in (64, 256, 512, 1024, 2048)},
        "classes": {c: epoch(c=c) for c in (2, 17, 100, 365, 1000)},
    }
    return {name: {str(size): value for size, value in row.items()} for name, row in found.items()}


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", info.read_text()) if info.exists() else []
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"


def beside_peers(rounds: int, quick: bool) -> dict[str, Any]:
    found = compare(rounds, (1, 7, 70) if quick else tuple(GRIDS))
    images = 32 if quick else 128
    encoding = peers.encode(images) / images
    return {
        "machine": machine(),
        "load": os.getloadavg(),
        "rounds": found,
        "table": table(found, steps_of(ROWS) * EPOCHS, encoding),
        "images_per_second": 1 / encoding,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def show(report: dict[str, Any]) -> None:
    print(f"\n{'':36} s a head   heads/s   x ours   of peak")
    for name, row in report["table"].items():
        share = f"{row['share_of_peak']:9.0%}" if "share_of_peak" in row else ""
        numbers = f"{row['seconds_per_head']:8.2f} {row['heads_per_second']:9.3f} {row['times_ours']:8.2f}"
        print(f"{name:36} {numbers} {share}")
    print("\nms a head for an epoch of 10,000 rows, 7 heads, one thing changed at a time")
    for name, row in report.get("growth", {}).items():
        print(f"{name:10}", "  ".join(f"{size}: {value:.0f}" for size, value in row.items()))
    peak, by_mm = (
        statistics.median(each[name] for each in report["rounds"]) / 1e9
        for name in ("peak", "peak of torch.mm")
    )
    print(f"\n{report['machine']}; product peak {peak:.0f} GFLOP/s, by torch.mm {by_mm:.0f};")
    print(f"memory of the whole process with all grids and peers: {report['gigabytes']:.2f} GB at most;")
    print(f"re-encoding: {report['images_per_second']:.0f} images/s by ResNet-18, undecoded, plus the loop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes: about two minutes")
    parser.add_argument("--rounds", type=int, help="how often all take turns")
    parser.add_argument("--profile", action="store_true", help="where a step's time goes: half a minute")
    parser.add_argument("--part", choices=("peers", "growth"), help="measure this alone; the rest stays")
    options = parser.parse_args()
    if options.profile:
        x, y = material(ROWS)
        profiled.show(x, y, grid(7, y), [Run(np.arange(ROWS), np.arange(0), Plan(), s) for s in range(4)])
        return
    target = Path(__file__).parent / "results" / "heads.json"
    report = json.loads(target.read_text()) if options.part else {}
    if options.part != "growth":
        report |= beside_peers(options.rounds or (3 if options.quick else 7), options.quick)
    if options.part != "peers":
        report["growth"] = growth(options.quick)
    show(report)
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
