"""Features of a few images at once, outside any store."""

from collections.abc import Sequence
from pathlib import Path

from imbpipe.encoders.encoder import Encoder
from imbpipe.extract.decode import read_bytes
from imbpipe.extract.pixels import pixels_of
from imbpipe.types import Features


def encode_images(encoder: Encoder, paths: Sequence[Path]) -> Features:
    """(b, dim) for the images at b paths. Raises ImageError: one cannot be read."""
    import torch

    return encoder.encode(torch.stack([pixels_of(encoder, read_bytes(path)) for path in paths]))
