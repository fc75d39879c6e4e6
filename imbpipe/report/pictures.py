"""Thumbnails: each image of the page once, small, as a data URL."""

import base64
import io
from pathlib import Path

from imbpipe.errors import ImbpipeError
from imbpipe.extract.decode import decode, read_bytes

SIDE = 56
QUALITY = 45


class Thumbnails:
    """Numbered from 0. urls: of all that were asked for and could be read."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self._known: dict[Path, int | None] = {}

    @property
    def bytes(self) -> int:
        return sum(map(len, self.urls))

    def number(self, path: Path) -> int | None:
        """Of the image at `path`; None where it cannot be read."""
        if path not in self._known:
            try:
                url = _url(path)
            except (ImbpipeError, OSError):
                self._known[path] = None
            else:
                self._known[path] = len(self.urls)
                self.urls.append(url)
        return self._known[path]


def _url(path: Path) -> str:
    image = decode(read_bytes(path))
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"
