"""A network that only computes: nothing in it trains, nothing in it changes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.encoder import Weights
from imbpipe.errors import UsageError
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


class FrozenEncoder:
    """An `Encoder` around a torch module that maps (b, 3, h, w) to (b, d)."""

    def __init__(
        self,
        name: str,
        network: "torch.nn.Module",
        transform: "Callable[[Image], torch.Tensor]",
        *,
        weights: Weights,
        identity: Mapping[str, Any],
        device: str,
    ) -> None:
        self.name = name
        self.weights = weights
        self.device = device
        self.identity = identity
        self._transform = transform
        self._network = _freeze(network, device)
        self.dim = self._measure()

    def preprocess(self, image: "Image") -> "torch.Tensor":
        """RGB image -> (3, h, w) float32, by the transform of the network's own library."""
        return self._transform(image)

    def encode(self, pixels: "torch.Tensor") -> Features:
        """(b, 3, h, w) -> (b, dim) float32, computed in IEEE float32 (no TF32, no autocast)."""
        import torch

        if any(module.training for module in self._network.modules()):
            raise RuntimeError(f"encoder {self.name!r} was put back into training mode")
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            features = self._network(pixels.to(self.device, non_blocking=True))
        return features.cpu().numpy()

    def _measure(self) -> int:
        from PIL import Image

        features = self.encode(self.preprocess(Image.new("RGB", (64, 64))).unsqueeze(0))
        if features.ndim != 2:
            raise UsageError(f"{self.name} gives no vector an image, but shape {features.shape[1:]}")
        return features.shape[1]


def _freeze(network: "torch.nn.Module", device: str) -> "torch.nn.Module":
    """On a CPU in the memory layout that its convolutions prefer."""
    import torch

    frozen = network.float().eval().requires_grad_(False).to(device)
    return frozen.to(memory_format=torch.channels_last) if device == "cpu" else frozen


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
