"""Features of a few images at once, outside any store."""

from collections.abc import Sequence
from pathlib import Path

from imbpipe.encoders.encoder import Encoder
from imbpipe.extract.decode import decode, read_bytes
from imbpipe.types import Features


def encode_images(encoder: Encoder, paths: Sequence[Path]) -> Features:
    """(b, dim) for the images at b paths. Raises ImageError: one cannot be read."""
    import torch

    return encoder.encode(torch.stack([encoder.preprocess(decode(read_bytes(path))) for path in paths]))
