"""An image file's bytes to what the encoder wants of it, by the fastest way that changes nothing."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from imbpipe.encoders.encoder import Encoder
from imbpipe.extract.decode import DECODE_POLICY, check_size, decode, opened, upright

if TYPE_CHECKING:
    import torch

_ORIENTATION = 0x0112
_HELD = (b"Exif", b"tiff:Orientation")
"""Without either of these a file says nothing of how the camera was held."""
_COLOURS = ("Gray", "YCbCr", "RGB")


def pixels_of(encoder: Encoder, data: bytes) -> "torch.Tensor":
    """(3, h, w) for `encoder.encode`: bytes where the encoder says how to resize them, else float32.

    Raises ImageError, as `decode` does.
    """
    if encoder.resize is None:
        return encoder.preprocess(decode(data))
    return encoder.resize(decode_pixels(data))


def blank_pixels(encoder: Encoder) -> "torch.Tensor":
    """The pixels of a black image."""
    black = Image.new("RGB", (64, 64))
    return encoder.preprocess(black) if encoder.resize is None else encoder.resize(np.array(black))


def decode_pixels(data: bytes) -> NDArray[np.uint8]:
    """RGB pixels (h, w, 3), the same that `decode` gives.

    A plain JPEG goes through libjpeg-turbo at once. What it so much as warns of, and every other image, is
    Pillow's to judge. Raises ImageError, as `decode` does.
    """
    may_be_turned = any(mark in data for mark in _HELD)
    if not may_be_turned and (pixels := _plain_jpeg(data)) is not None:
        return pixels
    with opened(data) as image:
        if may_be_turned and image.getexif().get(_ORIENTATION, 1) == 1:
            pixels = _plain_jpeg(data)
            if pixels is not None:
                return pixels
        return np.array(upright(image))


def decode_policy(encoder: Encoder) -> dict[str, Any]:
    """Every choice of decoding that changes a pixel for this encoder; part of the store's key."""
    if encoder.resize is None:
        return DECODE_POLICY
    return DECODE_POLICY | {"jpeg": "simplejpeg " + ".".join(version("simplejpeg").split(".")[:2])}


def _plain_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Of a JPEG in grey or colours, as it lies in the file; None for any other, and for one that is bad."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        check_size(width, height)
        return simplejpeg.decode_jpeg(data, "RGB") if colours in _COLOURS else None
    except Exception:  # a decoder raises anything at all on a damaged file
        return None
