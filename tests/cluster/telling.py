"""An encoder for tests: the mean colour, slowly; what it encodes it appends to the file $TOLD.

It stands still as long as there is a file of that name with .hold behind it.
"""

import os
import time
from pathlib import Path
from typing import Any

from imbpipe.encoders.mean_colour import MeanColour

SECONDS = 0.05


class Telling(MeanColour):
    """Images that differ in their mean colour can be told apart in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "telling"
        self.identity = {"library": "tests", "architecture": "telling"}

    def encode(self, pixels: Any) -> Any:
        """(b, 3, 1, 1) -> (b, 3)."""
        features = super().encode(pixels)
        colours = (features * 255).round().astype(int).tolist()
        line = f"{os.getpid()} " + " ".join(f"{red}-{green}" for red, green, _ in colours) + "\n"
        told = os.environ["TOLD"]
        fd = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, line.encode())
        os.close(fd)
        time.sleep(SECONDS)
        while os.path.exists(f"{told}.hold"):
            time.sleep(SECONDS)
        return features


def telling(**how: Any) -> Telling:
    """What the entry point names."""
    return Telling()


def offer(folder: Path) -> str:
    """Make the encoder known as "telling" to every process with the returned PYTHONPATH."""
    about = folder / "telling-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: telling\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[imbpipe.encoders]\ntelling = cluster.telling:telling\n")
    tests = Path(__file__).parent.parent
    return os.pathsep.join(map(str, (folder, tests, tests.parent)))
