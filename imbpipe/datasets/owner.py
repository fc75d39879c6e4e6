"""Data sets as their owners publish them."""

from pathlib import Path

from imbpipe.datasets.dataset import DATASETS
from imbpipe.errors import DatasetError


def owners_file(name: str, folder: Path, *candidates: str) -> Path:
    """The first of the candidates in `folder`.

    name: of the registered data set, whose docstring says where to get it.
    Raises DatasetError: none is there.
    """
    for candidate in candidates:
        if (folder / candidate).exists():
            return folder / candidate
    raise DatasetError(
        f"there is no {folder / candidates[0]}",
        f"Get it from {DATASETS.facts(name)['Source']} or name its folder with --root or $IMBPIPE_DATA",
    )
