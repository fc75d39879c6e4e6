"""Seconds and memory to plan strategies that select or make rows, at Planet's size, beside peers.

    python benchmarks/selection.py [--threshold 200] [--images 24287] [STRATEGY ...]

24,287 x 512 made features around Planet's own label combinations, 17 classes of up to 22,500 images; the
single-label form gives every image its rarest label. Each line is a process of its own on all cores; memory
is what its peak adds to the data (Linux). Peers: imbalanced-learn on the single-label form (of SMOTE's rows,
ours makes 32,768 at most and repeats them); apricot's facility location, where it is installed
(`pip install apricot-select`), on the first 6,000 images of the largest class, because it holds an n x n
matrix, ours ("cover") beside it on the same.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.datasets.drawing.label_sets import CLASS_NAMES, planet_label_sets
from imbpipe.strategies.selection.criterion import CRITERIA
from imbpipe.strategies.selection.facility import cover
from imbpipe.strategies.selection.features import unit_features
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet

SELECTING = [name for name in CRITERIA if name != "random"]
MAKING = ["mlsmote", "mixup", "balanced-mixup", "noise", "distill"]
PEER_IMAGES = 6000
"""Of the largest class, for apricot: a matrix of 288 MB."""


def planet_like(images: int, *, single: bool) -> TrainingSet:
    rng = np.random.default_rng(0)
    sets, counts = planet_label_sets()
    labels = np.repeat(sets, counts, 0)[rng.permutation(counts.sum())[:images]]
    hidden = rng.standard_normal((images, 32)) + 2 * (labels @ rng.standard_normal((17, 32)))
    features = np.maximum(hidden @ rng.standard_normal((32, 512)), 0).astype(np.float32)
    features += 0.5 * rng.standard_normal(features.shape, np.float32)
    if single:
        rarest = np.where(labels, labels.sum(0), images + 1).argmin(1)
        labels = np.eye(17, dtype=bool)[rarest]
    return TrainingSet(features, labels, CLASS_NAMES, "single-label" if single else "multi-label")


def peak() -> int:
    """Bytes at most since the last reset."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def measured(work: Callable[[], Any]) -> dict[str, float]:
    Path("/proc/self/clear_refs").write_text("5")
    before, started = peak(), time.perf_counter()
    rows = work()
    return {"seconds": time.perf_counter() - started, "MiB": (peak() - before) / 2**20, "rows": rows}


def plan(name: str, data: TrainingSet, **parameters: Any) -> int:
    plan = STRATEGIES[name](data, np.random.default_rng(0), **parameters)
    rows = plan.phases[0].rows
    return len(data.labels) if rows is None else len(rows)


def imblearn(name: str, data: TrainingSet, threshold: int) -> int:
    from imblearn.over_sampling import SMOTE
    from imblearn.under_sampling import ClusterCentroids
    from sklearn.cluster import KMeans

    classes = data.labels.argmax(1)
    if name == "smote":
        return len(SMOTE(random_state=0).fit_resample(data.features, classes)[1])
    wanted = {c: threshold for c, count in enumerate(np.bincount(classes)) if count > threshold}
    means = KMeans(n_init=1, max_iter=25, random_state=0)
    peer = ClusterCentroids(sampling_strategy=wanted, voting="hard", estimator=means)
    return len(peer.fit_resample(data.features, classes)[1])


def facility(data: TrainingSet, threshold: int, *, peer: bool) -> int:
    own = unit_features(data)[data.labels[:, CLASS_NAMES.index("primary")]][:PEER_IMAGES]
    if not peer:
        return len(cover(own, own[:0], threshold, np.random.default_rng(0)))
    from apricot import FacilityLocationSelection

    found = FacilityLocationSelection(threshold, metric="cosine", optimizer="lazy").fit(own)
    return len(found.ranking)


def one(job: list[Any], images: int, threshold: int) -> dict[str, float]:
    kind, name, single = job
    data = planet_like(images, single=single)
    if kind == "imblearn":
        return measured(lambda: imblearn(name, data, threshold))
    if name == "cover":
        return measured(lambda: facility(data, threshold, peer=kind == "apricot"))
    given: dict[str, Any] = {"threshold": threshold} if name in ("undersample", *SELECTING) else {}
    if kind in CRITERIA:
        given = {"by": kind, "fraction": 0.5}
    return measured(lambda: plan(name, data, **given))


def jobs() -> list[list[Any]]:
    todo: list[list[Any]] = [["ours", name, False] for name in ["undersample", *SELECTING, *MAKING]]
    todo += [[by, "subset", False] for by in CRITERIA]
    todo += [[kind, name, True] for name in ("cluster-centroids", "smote") for kind in ("ours", "imblearn")]
    todo += [["ours", "cover", False]]
    return [*todo, ["apricot", "cover", False]] if find_spec("apricot") else todo


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threshold", type=int, default=200)
    parser.add_argument("--images", type=int, default=24_287)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("strategies", nargs="*", help="all by default")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(json.loads(args.one), args.images, args.threshold)))
        return
    print(f"{args.images} images, threshold {args.threshold}, subsets of one half")
    for job in jobs():
        kind, name, single = job
        if args.strategies and name not in args.strategies:
            continue
        sizes = ["--images", str(args.images), "--threshold", str(args.threshold)]
        command = [sys.executable, __file__, *sizes, "--one", json.dumps(job)]
        got = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        what = f"{name}{', single-label' if single else ''}, {kind}"
        print(f"  {what:<44} {got['seconds']:7.2f} s {got['MiB']:8.0f} MiB {got['rows']:8} rows", flush=True)


if __name__ == "__main__":
    main()
