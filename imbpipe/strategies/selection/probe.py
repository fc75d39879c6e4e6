"""Linear heads trained for a moment on the features, to tell easy images from hard ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.strategies.selection.features import once
from imbpipe.types import Features, TrainingSet

PROBES, STEPS, BATCH, RATE = 10, 400, 256, 1e-3


def probabilities(data: TrainingSet) -> NDArray[np.float32]:
    """(PROBES, n, c) what each head says of the images that it was trained on; the same for every seed.

    Softmax for single-label, sigmoid for multi-label data; cross-entropy, Adam, 400 steps of 256 images, on
    features scaled to mean 0 and deviation 1. Heads differ in their start.
    """
    return once(data, "probabilities", lambda: _train(data))


def _train(data: TrainingSet) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    x, y = _standardised(data), data.labels.astype(np.float32)[:, None]
    n, d, c = *x.shape, y.shape[2]
    start = rng.normal(0, (d + 1) ** -0.5, (d + 1, PROBES * c)).astype(np.float32)
    weight: NDArray[Any] = start
    mean: NDArray[Any] = np.zeros_like(start)
    square: NDArray[Any] = np.zeros_like(start)
    batch = min(BATCH, n)
    order = np.concatenate([rng.permutation(n) for _ in range(-(-STEPS * batch // n))])
    for step in range(1, STEPS + 1):
        rows = order[(step - 1) * batch : step * batch]
        error = _link(_forward(x[rows], weight, c), data.task) - y[rows]
        flat = error.reshape(batch, -1) / batch
        slope = np.concatenate([x[rows].T @ flat, flat.sum(0, keepdims=True)])
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        scale = np.sqrt(square / (1 - 0.999**step)) + 1e-8
        weight = weight - RATE * mean / (1 - 0.9**step) / scale
    return np.moveaxis(_link(_forward(x, weight, c), data.task), 1, 0)


def _standardised(data: TrainingSet) -> Features:
    deviation = data.features.std(0, dtype=np.float64)
    scaled = (data.features - data.features.mean(0, dtype=np.float64)) / np.where(deviation > 0, deviation, 1)
    return scaled.astype(np.float32)


def _forward(x: NDArray[np.float32], weight: NDArray[np.float32], c: int) -> NDArray[np.float32]:
    """(n, PROBES, c) logits; the last row of `weight` is the bias."""
    return (x @ weight[:-1] + weight[-1]).reshape(len(x), PROBES, c)


def _link(logits: NDArray[np.float32], task: str) -> NDArray[np.float32]:
    if task == "multi-label":
        return np.reciprocal(1 + np.exp(-np.clip(logits, -60, 60)))
    power: NDArray[Any] = np.exp(logits - logits.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)
