"""Steps that replace the classifier by one that is not trained."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.stored import blocks
from imbpipe.heads.bank import Bank
from imbpipe.heads.network import SCALE
from imbpipe.heads.posthoc.step import POSTHOC, Seen, changed_to, hidden_units
from imbpipe.strategies.plan import Start
from imbpipe.types import FeatureSource, Labels

Distance = Literal["euclidean", "cosine"]
Matrix = NDArray[np.float64]


@POSTHOC.add("class-means")
def class_means(heads: Bank, seen: Seen, *, distance: Distance, softmax: bool) -> Bank:
    """Score an image by how near its hidden units are to each class's mean over the training images.

    distance: `euclidean`, squared; `cosine`, times 10, of units that are brought to length 1 first.
    softmax: over the classes; otherwise a sigmoid of how much nearer a class's mean is than the mean of all
        images without it.

    Source: Kang et al. (2020), section 4.2; Snell et al. (2017), equation 2, for the softmax.
    """
    part = seen.training
    weights, biases = [], []
    for head in range(len(heads.runs)):
        units = hidden_units(heads, head, part.features)
        mean, rest = _means(units, part.labels, _unit if distance == "cosine" else _as_it_is)
        rest = np.zeros_like(mean) if softmax else rest
        if distance == "cosine":
            weights.append(_unit(mean) - _unit(rest))
            biases.append(np.zeros(len(mean)))
        else:
            weights.append(2 * (mean - rest))
            biases.append((rest**2).sum(axis=1) - (mean**2).sum(axis=1))
    return _with_classifier(
        heads, np.stack(weights), np.stack(biases), SCALE if distance == "cosine" else None, softmax
    )


@POSTHOC.add("given-classifier")
def given_classifier(heads: Bank, seen: Seen, *, start: Start, softmax: bool) -> Bank:
    """Put a classifier that is known beforehand in the place of the whole head, hidden layer and all."""
    k = len(heads.runs)
    bare = replace(heads, parameters={"output.bias": heads.parameters["output.bias"]})
    weight, bias = (np.tile(each, (k,) + (1,) * each.ndim) for each in (start.direction, start.bias))
    return _with_classifier(bare, weight, bias, start.scale, softmax)


def _with_classifier(
    heads: Bank, weight: NDArray, bias: NDArray, cosine_scale: float | None, softmax: bool
) -> Bank:
    """Heads with another output layer: linear, or a cosine times a scale."""
    layer = {"output.weight": weight, "output.bias": bias}
    if cosine_scale is not None:
        layer["output.scale"] = np.full((len(bias), 1), cosine_scale)
    kept = {name: value for name, value in heads.parameters.items() if name != "output.scale"}
    changed = changed_to(replace(heads, parameters=kept), layer)
    return replace(changed, softmax=np.full(len(bias), softmax))


def _means(
    features: FeatureSource, labels: Labels, scaled: Callable[[Matrix], Matrix]
) -> tuple[Matrix, Matrix]:
    """(c, h) means over each class's images, and over all others; over all images where there are none."""
    total, own = np.zeros(features.shape[1]), np.zeros((labels.shape[1], features.shape[1]))
    for rows, x in blocks(features):
        units = scaled(x.astype(np.float64))
        total += units.sum(axis=0)
        own += labels[rows].T @ units
    counts = labels.sum(axis=0)[:, None]

    def mean(sums: Matrix, of: Matrix) -> Matrix:
        return np.where(of > 0, sums / np.maximum(of, 1), total / len(labels))

    return mean(own, counts), mean(total - own, len(labels) - counts)


def _as_it_is(rows: Matrix) -> Matrix:
    return rows


def _unit(rows: Matrix) -> Matrix:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
