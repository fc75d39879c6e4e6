"""What a step after training is, and what it may look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.stored import StoredFeatures
from imbpipe.heads.bank import Bank
from imbpipe.heads.run import Protocol
from imbpipe.registry import Registry
from imbpipe.types import Features, FeatureSource, Labels

Step = Callable[..., Bank]
"""(Bank, Seen, *, parameters) -> Bank of the same heads with other parameters."""

POSTHOC: Registry[Step] = Registry("post hoc step", package="imbpipe.heads.posthoc")


@dataclass(frozen=True, eq=False)
class Part:
    """features: (n, d). labels: (n, c)."""

    features: FeatureSource
    labels: Labels


@dataclass(frozen=True, eq=False)
class Seen:
    """What a step may look at: what its heads were trained and validated on, and nothing of the test part.

    protocol: how they were trained. seeds: (k,) of the heads.
    """

    training: Part
    validation: Part
    protocol: Protocol
    seeds: tuple[int, ...]


def take(heads: Bank, places: Sequence[int]) -> Bank:
    """Some of the heads, by their places in the bank."""
    chosen = list(places)
    parameters = {name: value[chosen] for name, value in heads.parameters.items()}
    runs = tuple(heads.runs[place] for place in chosen)
    return replace(heads, runs=runs, parameters=parameters, softmax=heads.softmax[chosen])


def scaled(heads: Bank, factor: NDArray[np.floating]) -> Bank:
    """Heads whose logits are `factor` times as large: (k, 1) or (k, c)."""
    p = heads.parameters
    changed = {"output.bias": p["output.bias"] * factor}
    if "output.scale" in p:
        changed["output.scale"] = p["output.scale"] * factor
    else:
        changed["output.weight"] = p["output.weight"] * factor[:, :, None]
    return changed_to(heads, changed)


def changed_to(heads: Bank, parameters: dict[str, NDArray[np.floating]]) -> Bank:
    """Heads with some parameters replaced, in the type of the others."""
    dtype = heads.parameters["output.bias"].dtype
    new = {name: np.ascontiguousarray(value, dtype) for name, value in parameters.items()}
    return replace(heads, parameters={**heads.parameters, **new})


def hidden_units(heads: Bank, head: int, features: FeatureSource) -> FeatureSource:
    """(n, h) what the output layer of one head sees: its hidden layer's activations, else the features.

    Of stored features they are computed when they are read.
    """
    p = heads.parameters
    if "hidden.weight" not in p:
        return features
    weight, bias = p["hidden.weight"][head], p["hidden.bias"][head]

    def activations(x: Features) -> Features:
        return np.maximum(x @ weight.T + bias, 0)

    if isinstance(features, StoredFeatures):
        return features.mapped(activations, len(bias))
    return activations(features[:])
