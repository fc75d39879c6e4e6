"""The command line, in this process."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imbpipe.cache import pack, store
from imbpipe.cli import main
from store_faults import toy


def run(*arguments: object) -> Result:
    """A command as a person gives it. What it prints is lines of printable characters."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    for line in result.output.split("\n"):
        assert line.isprintable(), ascii(line)
    return result


def in_one_process(patch: pytest.MonkeyPatch) -> None:
    """Pack without a child and sync nothing, where neither is what is tested."""
    patch.setattr(store, "pack_in_child", pack.pack)
    toy.without_syncing(patch)


def paint(path: Path, colour: tuple[int, int, int] | int, size: tuple[int, int] = (8, 6)) -> None:
    """An image file of one colour; grey where that is one number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(colour, int) else "RGB", size, colour).save(path)


def photos(folder: Path) -> None:
    """Twenty grey images in the classes a and b, below the folder `photos`."""
    for row in range(20):
        paint(folder / "photos" / "ab"[row % 2] / f"{row:02}.png", 10 * row)


def noise(seed: int = 0) -> Image.Image:
    """An image that no format makes small."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))
