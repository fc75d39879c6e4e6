"""Shapes that several stages share. n images, c classes, d feature dimensions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import TooLargeError

Features = NDArray[np.float32]
"""(n, d), as the encoder gave them."""


class FeatureSource(Protocol):
    """(n, d) features: an array, or what reads rows when they are asked for (see `cache.stored`)."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Those rows, in memory."""


Labels = NDArray[np.bool_]
"""(n, c) multi-hot; exactly one True a row where the task is single-label."""

Rows = NDArray[np.int64]
"""(m,) row numbers, repeats allowed."""

Scores = NDArray[np.floating[Any]]
"""(n, c) in [0, 1]."""

Task = Literal["single-label", "multi-label"]

Progress = Callable[[int, int], None]
"""Called with (units done, units in all), from the thread that does the work."""


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features read back from the store, every row verified.

    features: (n, d), in memory or in the file. ids: n image ids, in the order of the rows.
    labels: (n, c), the copy made at extraction. class_names: c names. task: one label an image, or several.
    dataset, encoder: the names they were extracted under.
    spec: what was encoded and how (encoder, weights, preprocessing, dtype, versions).
    digest: SHA-256 over all of it, hexadecimal.
    quarantined: ids of images that could not be read, with the reason.
    text: (c, d) the classes as the encoder's own text tower sees them, rows of length 1; None where there
        is no such tower.
    """

    features: FeatureSource
    ids: tuple[str, ...]
    labels: Labels
    class_names: tuple[str, ...]
    task: Task
    dataset: str
    encoder: str
    spec: dict[str, Any]
    digest: str
    quarantined: dict[str, str]
    text: Features | None = None

    def __repr__(self) -> str:
        n, d = self.features.shape
        return (
            f"<FeatureSet of {self.dataset!r} by {self.encoder!r}: {n:,} images x {d} features, "
            f"{len(self.class_names)} classes, {self.task}>"
        )


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a strategy may look at: the training rows and nothing else.

    source: (n, d) features. labels: (n, c). class_names, task, text: as in FeatureSet.
    """

    source: FeatureSource
    labels: Labels
    class_names: tuple[str, ...]
    task: Task
    text: Features | None = None

    @property
    def features(self) -> Features:
        """(n, d), in memory. Raises TooLargeError: they are larger than the memory allowed."""
        if not isinstance(self.source, np.ndarray):
            raise TooLargeError("all training features do not fit into the memory allowed", "Allow more")
        return self.source
