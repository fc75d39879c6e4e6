"""How to come by an encoder in another process."""

from dataclasses import dataclass

from imbpipe.encoders.compute import DEFAULT, Compute
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.load import load_encoder


@dataclass(frozen=True)
class Recipe:
    """The arguments of `load_encoder`; small, and the same on every machine."""

    name: str
    weights: str = "pretrained"
    device: str = "auto"
    compute: Compute = DEFAULT

    def load(self) -> Encoder:
        """Raises what `load_encoder` raises."""
        return load_encoder(self.name, weights=self.weights, device=self.device, compute=self.compute)
