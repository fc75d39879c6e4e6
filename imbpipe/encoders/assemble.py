"""An encoder out of an architecture and weights."""

from dataclasses import replace
from functools import partial
from typing import Any

from imbpipe.encoders.architecture import Architecture
from imbpipe.encoders.compute import DEFAULT, Compute
from imbpipe.encoders.frozen import FrozenEncoder
from imbpipe.encoders.text import ReadingEncoder
from imbpipe.encoders.weights import with_weights


def assemble(
    name: str, architecture: Architecture, weights: str, device: str, seed: int, compute: Compute = DEFAULT
) -> FrozenEncoder:
    """Build an architecture with its weights (see `load_encoder` for the arguments)."""
    network, found = with_weights(architecture, weights, seed)
    image: dict[str, Any] = {
        "weights": found,
        "identity": architecture.identity,
        "device": device,
        "compute": compute,
    }
    tower = architecture.text
    if tower is None:
        return FrozenEncoder(name, network, architecture.transform, **image)
    both = replace(architecture, initialise=tower.initialise, fit=tower.fit)
    build = partial(with_weights, both, weights, seed)
    return ReadingEncoder(name, network, architecture.transform, tower, build, **image)
