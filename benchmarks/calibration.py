"""How often intervals for a difference hold the truth where there is none, ours beside the usual ones.

    python benchmarks/calibration.py [--times 1000] [--metric ap] [--worlds 'noisy seed']

Two equally good settings are scored again and again in worlds that differ in which noise is large; classes
have about 20, 60 and 200 positives among 800 test images (trained heads: 20, 40 and 80 among 400), and the
mean over the three is judged. Printed is the share of 95 % intervals that hold 0, so 100 less the share of
false positives, with its standard error:

  ours         `effect`
  bootstrap    splits, seeds and images drawn anew, percentiles
  images       images alone drawn anew, the seeds taken as they are, percentiles
  seeds        Student's t over the runs, the images taken as they are
  splits       Student's t over the means of the splits, their overlap not corrected
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from imbpipe.evaluation.bootstrap import hierarchical_bootstrap
from imbpipe.evaluation.differences import measure
from imbpipe.evaluation.effects import effect
from imbpipe.evaluation.trial import Trial

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from simulated import Trained, World

WORLDS: dict[str, World | Trained] = {
    "1 split, 5 seeds": World(),
    "1 split, 10 seeds": World(seeds=10),
    "1 split, 5 noisy seeds": World(seed=1.0),
    "1 split, 10 seeds, hardly noisy": World(seeds=10, seed=0.1, run=0.3, taste=1.2),
    "1 split, 1 seed, no seed noise": World(seeds=1, seed=0, run=0),
    "1 split, 1 noisy seed": World(seeds=1, seed=1.0),
    "5 splits, 5 seeds, no split noise": World(splits=5, population=4000),
    "5 splits, 5 seeds": World(splits=5, population=4000, split=0.5),
    "5 splits, 1 seed": World(splits=5, population=4000, split=0.5, seeds=1),
    "3 splits, 5 seeds": World(splits=3, population=4000, split=0.5),
    "2 splits, 5 seeds": World(splits=2, population=4000, split=0.5),
    "trained heads, 5 splits, 3 seeds": Trained(splits=5),
    "trained heads, 3 splits, 3 seeds": Trained(splits=3),
}
TOGETHER = np.ones(3, bool)


def around_0(values: NDArray[np.float64]) -> float:
    """Whether Student's interval for the mean holds 0; NaN of a single value."""
    return float(stats.ttest_1samp(values, 0).pvalue > 0.05) if len(values) > 1 else np.nan


def holds(trials: list[Trial], metric: str, rng: np.random.Generator) -> list[float]:
    """1 where each interval holds 0, in the order of the list above."""
    ours = effect(trials, metric, TOGETHER)
    draws = hierarchical_bootstrap(trials, metric, TOGETHER, rng, draws=400)
    splits = measure(trials, metric, TOGETHER[None]).splits
    pulls = np.concatenate([split.pulls.mean(axis=0) for split in splits])[:, 0] / len(splits)
    images = ours.estimate + (rng.poisson(1.0, (400, len(pulls))) - 1) @ pulls
    percentiles = [np.percentile(sample, [2.5, 97.5]) for sample in (draws, images)]
    return [
        float(ours.low <= 0 <= ours.high),
        *(float(low <= 0 <= high) for low, high in percentiles),
        around_0(np.concatenate([split.values for split in splits])[:, 0]),
        around_0(np.array([split.values.mean() for split in splits])),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--metric", default="ap")
    parser.add_argument("--worlds", default="", metavar="TEXT", help="Only those with this in their name.")
    args = parser.parse_args()
    error = 100 * np.sqrt(0.05 * 0.95 / args.times)
    print(f"{args.metric}, {args.times} times, standard error of 95.0: {error:.1f}")
    print(f"{'share of intervals that hold 0, %':<35}{'ours':>6} bootstrap images seeds splits")
    for name, world in ((name, world) for name, world in WORLDS.items() if args.worlds in name):
        rng = np.random.default_rng(0)
        held = 100 * np.mean([holds(world.draw(rng), args.metric, rng) for _ in range(args.times)], axis=0)
        cells = ["" if np.isnan(share) else f"{share:.1f}" for share in held]
        print(f"{name:<35}{cells[0]:>6}{cells[1]:>10}{cells[2]:>7}{cells[3]:>6}{cells[4]:>7}", flush=True)


if __name__ == "__main__":
    main()
