"""The smallest encoder there is, to try the pipeline with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.checkpoint import tensors_sha256
from imbpipe.encoders.compute import DEFAULT, Compute
from imbpipe.encoders.encoder import ENCODERS, Encoder, Lane, Weights
from imbpipe.encoders.resize import Resize
from imbpipe.errors import UsageError
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


class MeanColour:
    """(red, green, blue), each the mean over the image's pixels in [0, 1]."""

    def __init__(self) -> None:
        self.name = "mean-colour"
        self.dim = 3
        self.device = "cpu"
        self.precision = "float32"
        self.resize: Resize | None = None
        self.weights = Weights("pretrained", "no parameters", tensors_sha256({}))
        self.identity: Mapping[str, Any] = {"library": "imbpipe", "architecture": "mean-colour"}

    def preprocess(self, image: "Image") -> "torch.Tensor":
        """RGB image -> (3, 1, 1) float32."""
        import numpy as np
        import torch

        mean = np.asarray(image, dtype=np.float64).mean(axis=(0, 1)) / 255
        return torch.tensor(mean, dtype=torch.float32).reshape(3, 1, 1)

    def encode(self, pixels: "torch.Tensor") -> Features:
        """(b, 3, 1, 1) -> (b, 3)."""
        return pixels.flatten(1).numpy()

    def lanes(self) -> Sequence[Lane]:
        """One: there is nothing to wait for."""
        return (self.encode,)


@ENCODERS.add("mean-colour")
def mean_colour(*, weights: str, device: str, seed: int, compute: Compute) -> Encoder:
    """Mean red, green and blue of the image, 3-d: no parameters, for tests and dry runs."""
    if weights != "pretrained":
        raise UsageError("encoder 'mean-colour' has no weights", "Leave out --weights")
    if compute != DEFAULT:
        raise UsageError(
            "encoder 'mean-colour' computes in one way only",
            "Leave out --backend, --precision and --preprocess",
        )
    return MeanColour()
