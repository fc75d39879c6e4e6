"""Image files to measure with: photographs of several sizes, and many files of mixed health."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"256x256 CMYK": None, "256x256": (256, 256), "683x512": (683, 512), "1024x768": (1024, 768)}
"""CMYK is how Planet's chips come."""


def kind() -> str:
    """Where `photographs` come from."""
    return "real chips" if os.environ.get("IMBPIPE_TEST_DATA") else "drawn"


def photographs(count: int) -> list[Image.Image]:
    """256 x 256, RGB: real chips where IMBPIPE_TEST_DATA names them, else drawn ones."""
    folder = os.environ.get("IMBPIPE_TEST_DATA")
    if folder:
        chips = sorted(Path(folder, "planet_sample/train").glob("*.jpg"))
        return [Image.open(chip).convert("RGB") for chip in chips[:count]]
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 24, 24, 3), dtype=np.uint8)
    return [Image.fromarray(each).resize((256, 256), Image.Resampling.BICUBIC) for each in coarse]


def tiled(pieces: Sequence[Image.Image], first: int, width: int, height: int) -> Image.Image:
    """An image of any size, of photographs side by side from number `first` on."""
    canvas = Image.new("RGB", (width, height))
    corners = [(x, y) for y in range(0, height, 256) for x in range(0, width, 256)]
    for tile, corner in enumerate(corners):
        canvas.paste(pieces[(first + tile) % len(pieces)], corner)
    return canvas


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def jpegs(size: str | tuple[int, int], count: int = 64) -> list[bytes]:
    """Files of a size: one of SIZES, or width and height."""
    pieces = photographs(count)
    wanted = SIZES[size] if isinstance(size, str) else size
    if wanted is None:
        return [jpeg(piece.convert("CMYK")) for piece in pieces]
    return [jpeg(tiled(pieces, number, *wanted)) for number in range(count)]


def write(folder: Path, contents: Sequence[bytes], count: int) -> list[Path]:
    """`count` files of these contents in turn."""
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % len(contents)])
    return sorted(folder.glob("*.jpg"))


SPOILT = {
    "an empty file (0 bytes)": lambda good: b"",
    "truncated": lambda good: good[: len(good) // 2],
    "an HTML page, not an image": lambda good: b"<!doctype html><p>404</p>",
    "a text file, not an image": lambda good: b"no picture here\n",
    "a git-lfs pointer, not the image itself": lambda good: b"version https://git-lfs.github.com/spec/v1\n",
    "no image of a known format": lambda good: bytes(range(128, 256)) * 4,
}
"""What a bad file is set aside for, and how one is made of a good file."""
MISSING = "a dangling link to nowhere.jpg"
BAD_EACH, BAD_AT = 50, 7


def mixed(folder: Path, count: int) -> dict[str, str]:
    """`count` names in `folder`, one in BAD_EACH bad; file name -> why it is.

    Good ones are JPEG, PNG, WebP and GIF, in grey, colours, palettes and with transparency, of 8 to 200
    pixels a side. Names are hard links to a few hundred files, of which the disk holds one each.
    """
    sources = folder / "sources"
    sources.mkdir()
    good = [_small(number) for number in range(200)]
    for number, data in enumerate(good):
        (sources / f"good-{number}").write_bytes(data)
    for number, spoil in enumerate(SPOILT.values()):
        (sources / f"bad-{number}").write_bytes(spoil(good[0]))
    reasons = [*SPOILT, MISSING]
    planted = {}
    for number in range(count):
        name = f"{number:06d}.jpg"
        source = sources / f"good-{number % len(good)}"
        if number % BAD_EACH == BAD_AT:
            kind = number // BAD_EACH % len(reasons)
            planted[name] = reasons[kind]
            if reasons[kind] == MISSING:
                (folder / name).symlink_to("nowhere.jpg")
                continue
            source = sources / f"bad-{kind}"
        os.link(source, folder / name)
    return planted


def _small(number: int) -> bytes:
    rng = np.random.default_rng(number)
    width, height = rng.integers(8, 201, 2)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    mode, form = [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "PNG"),
                  ("RGBA", "PNG"), ("L", "PNG"), ("RGB", "WEBP"), ("P", "GIF")][number % 9]  # fmt: skip
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, form)
    return buffer.getvalue()
