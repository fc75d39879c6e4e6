"""Frozen networks: nothing in them trains, nothing in them changes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.compute import (
    DEFAULT,
    Compute,
    check_precision,
    choose_backend,
    openvino_version,
)
from imbpipe.encoders.encoder import Lane, Weights
from imbpipe.encoders.openvino_backend import OpenVinoBackend
from imbpipe.encoders.resize import BY_BYTES, BY_LIBRARY, Resize, resize_of
from imbpipe.encoders.torch_backend import TorchBackend
from imbpipe.errors import UsageError
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


class FrozenEncoder:
    """An `Encoder` around a torch module that maps (b, 3, h, w) to (b, d).

    Raises UsageError: the device or the machine cannot compute as `compute` says.
    """

    def __init__(
        self,
        name: str,
        network: "torch.nn.Module",
        transform: "Callable[[Image], torch.Tensor]",
        *,
        weights: Weights,
        identity: Mapping[str, Any],
        device: str,
        compute: Compute = DEFAULT,
    ) -> None:
        check_precision(compute.precision, device)
        self.name = name
        self.weights = weights
        self.device = device
        self.precision: str = compute.precision
        self.resize: Resize | None = resize_of(transform) if compute.preprocess == "fast" else None
        self._transform = transform
        self._network = network.float().eval().requires_grad_(False)
        backend = choose_backend(compute.backend, device)
        self.identity: Mapping[str, Any] = _identity(identity, backend, self.resize)
        eager = TorchBackend(self._network, self._scale, device, compute.precision)
        self._backend: TorchBackend | OpenVinoBackend = eager
        self.dim = self._measure()
        if backend == "openvino":
            self._backend = OpenVinoBackend(self._network, self._scale, compute.precision)
        elif backend == "compiled":
            eager.compile()

    def preprocess(self, image: "Image") -> "torch.Tensor":
        """RGB image -> (3, h, w) float32, by the transform of the network's own library."""
        return self._transform(image)

    def encode(self, pixels: "torch.Tensor") -> Features:
        """(b, 3, h, w), as `preprocess` (float32) or `resize` (uint8) give them, -> (b, dim) float32.

        In float32 there is no TF32 and no autocast. Any thread may call it.
        """
        self._check_frozen()
        return self._backend.encode(pixels)

    def lanes(self) -> tuple[Lane, ...]:
        """`encode`, once for each call that the device can serve at the same time."""
        self._check_frozen()
        return self._backend.lanes()

    def _scale(self, pixels: "torch.Tensor") -> "torch.Tensor":
        return self.resize.scale(pixels) if self.resize and not pixels.is_floating_point() else pixels

    def _check_frozen(self) -> None:
        if any(module.training for module in self._network.modules()):
            raise RuntimeError(f"encoder {self.name!r} was put back into training mode")

    def _measure(self) -> int:
        from PIL import Image

        features = self.encode(self.preprocess(Image.new("RGB", (64, 64))).unsqueeze(0))
        if features.ndim != 2:
            raise UsageError(f"{self.name} gives no vector an image, but shape {features.shape[1:]}")
        return features.shape[1]


def _identity(identity: Mapping[str, Any], backend: str, resize: Resize | None) -> dict[str, Any]:
    """What the library says, and what of the choices here changes a number."""
    release = {"openvino": openvino_version()} if backend == "openvino" else {}
    return {
        **identity,
        "backend": backend,
        "preprocess": {**identity["preprocess"], "resized_by": BY_BYTES if resize else BY_LIBRARY},
        "versions": {**identity["versions"], **release},
    }


def resolve_device(device: str) -> str:
    """The device of this name, or for "auto" the best there is. Raises UsageError: not on this machine."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(
            f"no device {device!r} on this machine", "Give --device cpu, or leave it out"
        ) from None
    return device
