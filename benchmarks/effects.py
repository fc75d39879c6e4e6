"""The statistics of the paper's whole grid, on random scores of its size.

    python benchmarks/effects.py [--images 8096] [--classes 17] [--settings 9] [--seeds 10]

Two encoders on two data sets; every setting against the baseline, for every class, low-frequency and
remaining classes and all, each with interval, p-value and equivalence; then Benjamini-Hochberg over classes
and settings, Holm over the groups. Drawing the scores is not counted.
"""

import argparse
import time

import numpy as np

from imbpipe.evaluation.adjust import benjamini_hochberg, holm
from imbpipe.evaluation.effects import effect
from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.trial import Trial
from imbpipe.types import Labels

PLACES = 4
"""Encoders times data sets."""


def bank(labels: Labels, seeds: int, rng: np.random.Generator) -> Scored:
    scores = rng.beta(0.4 + labels, 2.0, (seeds, *labels.shape)).astype(np.float32)
    return Scored(scores, labels, np.full((seeds, labels.shape[1]), 0.2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=8096)
    parser.add_argument("--classes", type=int, default=17)
    parser.add_argument("--settings", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", default=["ap", "recall", "f2"])
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.random((args.images, args.classes)) < np.geomspace(0.0024, 0.93, args.classes)
    low = np.arange(args.classes) < args.classes // 4
    masks = np.concatenate([np.eye(args.classes, dtype=bool), [low, ~low, low | ~low]])
    print(f"{args.images} images, {args.classes} classes, {args.seeds} seeds")
    for metric in args.metrics:
        wall, cpu, comparisons = 0.0, 0.0, 0
        for _ in range(PLACES):
            baseline, found = bank(labels, args.seeds, rng), []
            for _ in range(args.settings):
                trial = Trial(bank(labels, args.seeds, rng), baseline, np.arange(args.images))
                start, start_cpu = time.perf_counter(), time.process_time()
                found.append(effect([trial], metric, masks, margin=0.02))
                wall, cpu = wall + time.perf_counter() - start, cpu + time.process_time() - start_cpu
            p = np.stack([one.p for one in found])
            benjamini_hochberg(p[:, : args.classes])
            holm(p[:, args.classes :])
            comparisons += p.size
        print(
            f"  {metric:<10} {comparisons} comparisons: {wall:5.1f} s, {cpu:5.1f} s of processor", flush=True
        )


if __name__ == "__main__":
    main()
