"""A data set: which images there are and what is said of each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbpipe.registry import Registry
from imbpipe.types import Labels, Rows, Task

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
    groups: n names; images of one name belong together (a place, a patient, a burst): they stay on one side
        of a split, and count as one in an interval. Empty: each image stands alone.
    """

    name: str
    ids: tuple[str, ...]
    images: tuple[Path, ...]
    labels: Labels
    class_names: tuple[str, ...]
    task: Task
    official: NDArray[np.int8] | None = None
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def group_numbers(self) -> Rows | None:
        """(n,) images of one group have the same number; None where each image stands alone."""
        return np.unique(self.groups, return_inverse=True)[1] if self.groups else None

    @property
    def extent(self) -> str:
        """In words: "60 images", or "60 images in 12 groups"."""
        groups = f" in {len(set(self.groups)):,} groups" if self.groups else ""
        return f"{len(self):,} images{groups}"

    def __repr__(self) -> str:
        return f"<Dataset {self.name!r}: {self.extent}, {len(self.class_names)} classes, {self.task}>"
