"""Metrics and best thresholds of a bank of heads, against a loop of scikit-learn over heads and classes.

    python benchmarks/metrics.py [--heads 270] [--images 8096] [--classes 17] [--peer-heads 2]

Ours runs over the whole bank; scikit-learn over a few heads of it, its time multiplied up. Both take turns
in one process, on one thread; the best of three turns counts, in seconds of CPU time. Scores are drawn from
Beta distributions, labels have frequencies from 0.24 % to 93 % as Planet's. Both give the same values, or
nothing is timed.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import sklearn.metrics as peer
from numpy.typing import NDArray

from imbpipe.evaluation.curve import BankScores
from imbpipe.evaluation.metrics import METRICS, Scored, evaluate
from imbpipe.evaluation.thresholds import best_thresholds
from imbpipe.types import Labels

PEERS: dict[str, Callable[..., float]] = {
    "ap": lambda y, s, p: peer.average_precision_score(y, s),
    "auroc": lambda y, s, p: peer.roc_auc_score(y, s),
    "precision": lambda y, s, p: peer.precision_score(y, p, zero_division=0),
    "recall": lambda y, s, p: peer.recall_score(y, p),
    "f1": lambda y, s, p: peer.f1_score(y, p),
    "f2": lambda y, s, p: peer.fbeta_score(y, p, beta=2),
    "balanced_accuracy": lambda y, s, p: peer.balanced_accuracy_score(y, p),
    "accuracy": lambda y, s, p: peer.accuracy_score(y, p),
    "brier": lambda y, s, p: peer.brier_score_loss(y, s),
}


def bank(heads: int, images: int, classes: int, dtype: str) -> Scored:
    rng = np.random.default_rng(0)
    labels = rng.random((images, classes)) < np.geomspace(0.0024, 0.93, classes)
    labels[0], labels[1] = True, False
    scores = np.empty((heads, images, classes), dtype)
    for head in scores:
        head[:] = rng.beta(0.4 + labels, 2.0)
    return Scored(scores, labels, np.full((heads, classes), 0.2))


def one_by_one(scored: Scored, names: list[str]) -> dict[str, NDArray[np.float64]]:
    values = {name: np.empty(scored.shape) for name in names}
    for head, column in np.ndindex(*scored.shape):
        truth, scores = scored.labels[:, column], scored.scores[head, :, column].astype(np.float32)
        predicted = scores > scored.thresholds[head, column]
        for name in names:
            values[name][head, column] = PEERS[name](truth, scores, predicted)
    return values


def cuts_one_by_one(labels: Labels, scores: BankScores) -> NDArray[np.float64]:
    """The highest F2 of each head and class by scikit-learn's precision-recall curve."""
    highest = np.empty((scores.shape[0], scores.shape[2]))
    for head, column in np.ndindex(*highest.shape):
        precision, recall, _ = peer.precision_recall_curve(labels[:, column], scores[head, :, column])
        highest[head, column] = (5 * precision * recall / np.maximum(4 * precision + recall, 1e-300)).max()
    return highest


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], times: float) -> None:
    turns = [(seconds(ours), seconds(theirs) * times) for _ in range(3)]
    fast, slow = map(min, zip(*turns, strict=True))
    print(f"  {name:<20} {fast:7.2f} s   scikit-learn {slow:7.1f} s   ratio {slow / fast:5.0f}", flush=True)


def check(some: Scored) -> None:
    """Raises AssertionError: a value that differs from scikit-learn's."""
    theirs = one_by_one(some, list(PEERS))
    for name, values in evaluate(some, PEERS).items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-6, atol=1e-9, err_msg=name)
    best = Scored(some.scores, some.labels, best_thresholds(some.labels, some.scores))
    highest = cuts_one_by_one(some.labels, some.scores)
    np.testing.assert_allclose(evaluate(best, ["f2"])["f2"], highest, rtol=1e-9)


def race(scored: Scored, peer_heads: int) -> None:
    some = scored.part(slice(peer_heads), slice(None))
    check(some)
    times = scored.shape[0] / some.shape[0]
    for name, names in {"ap": ["ap"], "auroc": ["auroc"], "nine metrics": list(PEERS)}.items():
        compare(name, partial(evaluate, scored, names), partial(one_by_one, some, names), times)
    ours = partial(best_thresholds, scored.labels, scored.scores)
    compare("best thresholds (F2)", ours, partial(cuts_one_by_one, some.labels, some.scores), times)
    print(f"  {f'all {len(METRICS)} metrics':<20} {seconds(partial(evaluate, scored)):7.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for option, default in {"heads": 270, "images": 8096, "classes": 17, "peer-heads": 2}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    args = parser.parse_args()
    for dtype in ("float16", "float32"):
        print(f"{args.heads} heads, {args.images} images, {args.classes} classes, {dtype}")
        race(bank(args.heads, args.images, args.classes, dtype), args.peer_heads)


if __name__ == "__main__":
    main()
