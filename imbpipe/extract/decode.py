"""One image file to one RGB image, or to the reason why not."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from imbpipe.errors import ImageError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000
MAX_BYTES = 1 << 30
MAX_ASPECT = 100
BACKGROUND = (0, 0, 0)

DECODE_POLICY: dict[str, Any] = {
    "decoder": "pillow " + ".".join(version("pillow").split(".")[:2]),
    "formats": list(FORMATS),
    "max_pixels": MAX_PIXELS,
    "max_aspect": MAX_ASPECT,
    "exif_rotation": "applied",
    "alpha": f"composited on {BACKGROUND}",
    "sixteen_bit": "scaled by depth",
    "frames": "first",
    "mode": "RGB",
}
"""Every choice that changes a pixel; part of the store's key."""

_UNREADABLE = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.ELOOP: "a symbolic link to itself",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENXIO: "a socket or pipe, not a file",
    errno.ENAMETOOLONG: "a name too long for a file",
    errno.EIO: "the disk cannot read it",
}
_KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a pipe, not a file"),
    (lambda mode: not stat.S_ISREG(mode), "a device, not a file"),
)
_NO_WHITE = {"F": "floating-point", "I": "32-bit or signed"}
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262


def read_bytes(path: Path) -> bytes:
    """The whole file, opened without waiting and read once.

    Raises ImageError: missing, a dangling link, a folder or pipe, no permission, empty, over 1 GiB.
    What is wrong with the machine and not with the file (no file handles left) stays an OSError.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise ImageError("a name that no file can have") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        _check_file(os.fstat(handle))
        with open(handle, "rb", buffering=0, closefd=False) as file:
            data = file.read()
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(handle)
    if not data:
        raise ImageError("an empty file (0 bytes)")
    return data


def _check_file(status: os.stat_result) -> None:
    for is_kind, reason in _KINDS:
        if is_kind(status.st_mode):
            raise ImageError(reason)
    if status.st_size > MAX_BYTES:
        raise ImageError(f"{status.st_size} bytes, over the cap of {MAX_BYTES}")


def decode(data: bytes) -> Image.Image:
    """An image file's bytes -> an RGB image, upright, by DECODE_POLICY.

    Raises ImageError, whatever is wrong with the bytes and whatever the decoder makes of it.
    """
    with opened(data) as image:
        return upright(image)


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """The image with its header read and judged, none of its pixels yet.

    Raises ImageError for the header, and for whatever a decoder raises while it is open.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # another library may have switched it on
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check(image, data)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise _not_an_image(data) from None
    except MemoryError:
        raise ImageError("too little memory to decode it") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"over the cap of {MAX_PIXELS} pixels", "Save it smaller") from None
    except Exception as error:  # decoders raise anything at all on damaged files
        raise ImageError(f"truncated or damaged ({str(error) or type(error).__name__})") from None


def upright(image: Image.Image) -> Image.Image:
    """An opened image, decoded to RGB by DECODE_POLICY."""
    ImageOps.exif_transpose(image, in_place=True)
    return _rgb(image)


def check_size(width: int, height: int) -> None:
    """Raises ImageError: so many pixels, or in such a strip, that decoding or resizing fills the memory."""
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} pixels, over the cap of {MAX_PIXELS}", "Save it smaller")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{width} x {height} pixels, a strip over {MAX_ASPECT} times as long as wide", "Cut it up"
        )


def _check(image: Image.Image, data: bytes) -> None:
    check_size(*image.size)
    if image.mode in _NO_WHITE and image.format != "PPM":
        raise ImageError(
            f"{_NO_WHITE[image.mode]} samples, which have no fixed white", "Convert it to 8 or 16 bits"
        )
    if image.format == "PNG":
        with Image.open(BytesIO(data), formats=("PNG",)) as checked:
            checked.verify()  # to the last chunk: decoding alone is content once it has all pixels


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_sixteen_bit(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _from_sixteen_bit(image: Image.Image) -> Image.Image:
    """Grey samples of 9 to 16 bits to 8 by their depth, where Pillow's own conversion clips to white."""
    tags = getattr(image, "tag_v2", {})
    white = 2 ** tags.get(_TIFF_BITS, (16,))[0] - 1
    samples = np.asarray(image).astype(np.uint32)
    if tags.get(_TIFF_PHOTOMETRIC, 1) == 0:
        samples = white - samples
    return Image.fromarray(((samples * 255 + white // 2) // white).astype(np.uint8)).convert("RGB")


def _not_an_image(data: bytes) -> ImageError:
    start = data[:1024].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return ImageError("a git-lfs pointer, not the image itself", "Run: git lfs pull")
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return ImageError("an HTML page, not an image", "Download the image again")
    if start.startswith(b"%!ps"):
        return ImageError("PostScript, which is never run", "Convert it to PNG")
    if _is_text(data[:1024]):
        return ImageError("a text file, not an image")
    return ImageError(f"no image of a known format ({', '.join(FORMATS)})")


def _is_text(start: bytes) -> bool:
    text = start.decode("utf-8", errors="ignore")
    return len(text.encode()) > len(start) - 4 and all(char.isprintable() or char.isspace() for char in text)


def _unreadable(path: Path, error: OSError) -> Exception:
    """The image's fault as an ImageError, the machine's as it came."""
    if error.errno not in _UNREADABLE:
        return error
    if error.errno == errno.ENOENT and path.is_symlink():
        return ImageError(f"a dangling link to {os.readlink(path)}")
    return ImageError(_UNREADABLE[error.errno])
