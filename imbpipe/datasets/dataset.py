"""A data set: which images there are and what is said of each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbpipe.registry import Registry
from imbpipe.types import Labels, Task

DATASETS: Registry = Registry("data set", package="imbpipe.datasets")

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Dataset:
    """n images with their labels.

    name: as the user gave it; a path's last component where a path was given.
    ids: n unique ids. images: n paths (looked for when labels are read, opened when encoded).
    labels: (n, c) bool. class_names: c names, in the order of the columns.
    task: one label an image, or several.
    official: (n,) TRAIN, VALIDATION or TEST where the owner publishes a division, else None.
    notes: what was left out while reading, in words; for the user's eyes.
    """

    name: str
    ids: tuple[str, ...]
    images: tuple[Path, ...]
    labels: Labels
    class_names: tuple[str, ...]
    task: Task
    official: NDArray[np.int8] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<Dataset {self.name!r}: {len(self):,} images, {len(self.class_names)} classes, {self.task}>"
