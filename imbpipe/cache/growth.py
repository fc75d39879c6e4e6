"""How far others have come with what they write, told by the length of their journals."""

from contextlib import suppress
from pathlib import Path

from imbpipe.cache.journal import HEAD
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import row_bytes
from imbpipe.errors import StoreError


class Growth:
    """Rows that were appended to the features of a data set by an encoder since this was made, nearly.

    Nothing is read, so that it costs the same however much there is; what refusals take counts as rows too.
    """

    def __init__(self, root: Path, dataset: str, encoder: str) -> None:
        self._root, self._names = root, (dataset, encoder)
        self._before = self._bytes()
        self._widths: dict[Path, int] = {}

    def rows(self) -> int:
        """As a progress bar may show them."""
        grown = ((path.parent, size - self._before.get(path, 0)) for path, size in self._bytes().items())
        return sum(more // self._width(folder) for folder, more in grown if more > 0)

    def _bytes(self) -> dict[Path, int]:
        sizes = {}
        for folder in Folder.known(self._root, *self._names):
            for path in folder.journals():
                with suppress(OSError):
                    sizes[path] = path.stat().st_size
        return sizes

    def _width(self, folder: Path) -> int:
        if folder not in self._widths:
            try:
                self._widths[folder] = HEAD.itemsize + row_bytes(Folder(folder).read_spec())
            except StoreError:
                return 1 << 62
        return self._widths[folder]
