"""What an encoder is to the rest of the program."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from imbpipe.encoders.resize import Resize
from imbpipe.registry import Registry
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

Lane = Callable[["torch.Tensor"], Features]
"""Pixels of a batch to its features, called by one thread at a time."""

ENCODERS: Registry = Registry("encoder", package="imbpipe.encoders")


@dataclass(frozen=True)
class Weights:
    """Where parameters came from, and what they are.

    sha256: over the names, shapes, dtypes and bytes of the tensors, so the same parameters have the
        same hash in whatever file they travel.
    """

    kind: Literal["pretrained", "file", "random"]
    origin: str
    sha256: str


class Encoder(Protocol):
    """A frozen network with its own preprocessing.

    name: as the user gives it ("clip"). dim: dimensions of a feature. weights: where they came from.
    device: where it computes, as torch names it ("cpu", "cuda").
    identity: everything but the parameters that changes a number (library, architecture, layer, every
        preprocessing field, backend, versions), as JSON values; with `weights.sha256` part of the store's
        key.
    precision: of the products inside ("float32", "bfloat16", "float16"), part of the store's key.
    resize: the preprocessing as steps on bytes, by which extraction goes; None: `preprocess` alone.
    """

    name: str
    dim: int
    device: str
    weights: Weights
    identity: Mapping[str, Any]
    precision: str
    resize: Resize | None

    def preprocess(self, image: "Image") -> "torch.Tensor":
        """RGB `image` -> (3, h, w) float32, as the encoder's own library does it."""

    def encode(self, pixels: "torch.Tensor") -> Features:
        """(b, 3, h, w) -> (b, dim) float32, without gradient, parameters and statistics unchanged.

        pixels: float32 from `preprocess`, or bytes from `resize`.
        """

    def lanes(self) -> Sequence[Lane]:
        """`encode`, as many times as the device can encode batches side by side (a core, a GPU's stream)."""
