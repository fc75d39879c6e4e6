"""How near features are to those of a library's own preprocessing: `python benchmarks/extract_tolerance.py`.

The smallest cosine over 48 photographs, by ours and by what other decoders do, with all else as in ours: a
GPU resizes in floating point, and torchvision's decoder there copies chroma to the pixels around. An encoder
whose published weights are not to be had here has random ones, and says so.
"""

import io
from collections.abc import Callable

import numpy as np
import simplejpeg
import torch
from extraction import images
from extraction.cosine import smallest_cosine
from PIL import Image
from record import keep
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from imbpipe.encoders.compute import Compute
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.resize import Resize
from imbpipe.errors import WeightsError
from imbpipe.extract.pixels import decode_pixels

ENCODERS = ("resnet18", "clip", "timm:vit_small_patch14_dinov2@224")
SIZES = ("256x256", "683x512")
Way = Callable[[Resize, bytes], torch.Tensor]


def float_resize(resize: Resize, data: bytes) -> torch.Tensor:
    """As torchvision does it on a GPU."""
    pixels = torch.from_numpy(decode_pixels(data)).permute(2, 0, 1).float()
    resized = functional.resize(pixels, [resize.short], InterpolationMode(resize.interpolation))
    return functional.center_crop(resized.clamp(0, 255).round().to(torch.uint8), [resize.crop])


def off_by_one(share: float) -> Way:
    def way(resize: Resize, data: bytes) -> torch.Tensor:
        rng = np.random.default_rng(0)
        pixels = decode_pixels(data).astype(int)
        pixels += rng.choice([-1, 1], pixels.shape) * (rng.random(pixels.shape) < share)
        return resize(pixels.clip(0, 255).astype(np.uint8))

    return way


WAYS: dict[str, Way] = {
    "imbpipe": lambda resize, data: resize(decode_pixels(data)),
    "chroma of the nearest pixel": lambda resize, data: resize(
        simplejpeg.decode_jpeg(data, "RGB", fastupsample=True)
    ),
    "libjpeg's fast DCT": lambda resize, data: resize(simplejpeg.decode_jpeg(data, "RGB", fastdct=True)),
    "resized in floating point": float_resize,
    "1 % of values off by one": off_by_one(0.01),
    "10 % of values off by one": off_by_one(0.1),
}


def main() -> None:
    found: dict[str, object] = {"images": images.kind()}
    for name in ENCODERS:
        how = {"device": "cpu", "compute": Compute("torch")}
        try:
            encoder = load_encoder(name, **how)
        except WeightsError:
            encoder = load_encoder(name, weights="random", **how)
        for size in SIZES:
            contents = images.jpegs(size, 48)
            own = [encoder.preprocess(Image.open(io.BytesIO(data)).convert("RGB")) for data in contents]
            exact = encoder.encode(torch.stack(own))
            for label, way in WAYS.items():
                features = encoder.encode(torch.stack([way(encoder.resize, data) for data in contents]))
                least = smallest_cosine(features, exact)
                whose = f"{name} ({encoder.weights.kind} weights), {size}"
                found.setdefault(whose, {})[label] = least
                print(f"{whose:66} {label:28} {least:.6f}", flush=True)
    keep("extract_tolerance", found)


if __name__ == "__main__":
    main()
