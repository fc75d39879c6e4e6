"""The usual preprocessing of image networks, on bytes: resize, crop, scale."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

BY_BYTES, BY_LIBRARY = "torchvision, bytes", "its own library, Pillow"
"""Who resizes, as the store's key says it."""

PLAIN_STEPS = {"ToTensor", "MaybeToTensor", "MaybeConvertMode"}
"""Steps that change no value of an RGB image but 0 … 255 to 0 … 1."""


@dataclass(frozen=True)
class Resize:
    """Short side to `short` pixels, the centre square of `crop` pixels, then (pixel / 255 - mean) / std.

    interpolation: "bicubic" or "bilinear", antialiased. mean, std: of red, green and blue.
    """

    short: int
    crop: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: NDArray[np.uint8]) -> "torch.Tensor":
        """RGB pixels (h, w, 3) -> (3, crop, crop) uint8."""
        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        image = torch.from_numpy(pixels).permute(2, 0, 1)
        mode = InterpolationMode(self.interpolation)
        resized = functional.resize(image, [self.short], mode, antialias=True)
        return functional.center_crop(resized, [self.crop])

    def scale(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """(b, 3, crop, crop) uint8 -> float32, on the device of `pixels`."""
        import torch

        mean, std = (torch.tensor(each, device=pixels.device) for each in (self.mean, self.std))
        factor, shift = (each.view(3, 1, 1) for each in (1 / (255 * std), mean / std))
        return pixels.float().mul_(factor).sub_(shift)


def resize_of(transform: Any) -> Resize | None:
    """What a library's transform does, as a `Resize`; None where it does anything else."""
    from torchvision import transforms

    steps = _steps(transform)
    if [type(step) for step in steps] != [transforms.Resize, transforms.CenterCrop, transforms.Normalize]:
        return None
    resize, crop, scale = steps
    short, (height, width), name = _short_side(resize.size), crop.size, resize.interpolation.value
    known = name in ("bicubic", "bilinear") and resize.antialias and not resize.max_size
    if not known or short is None or not short >= height == width:
        return None
    return Resize(short, height, name, _numbers(scale.mean), _numbers(scale.std))


def _steps(transform: Any) -> list[Any]:
    """The steps that change a value, as torchvision's transforms."""
    from torchvision import transforms

    if hasattr(transform, "resize_size"):  # torchvision's preset of an image classifier
        return [
            transforms.Resize(transform.resize_size, transform.interpolation, antialias=transform.antialias),
            transforms.CenterCrop(transform.crop_size),
            transforms.Normalize(transform.mean, transform.std),
        ]
    return [step for step in getattr(transform, "transforms", ()) if type(step).__name__ not in PLAIN_STEPS]


def _short_side(size: Any) -> int | None:
    """Pixels; None for a pair, to which both sides are stretched."""
    sides = [size] if isinstance(size, int) else list(size)
    return sides[0] if len(sides) == 1 else None


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
