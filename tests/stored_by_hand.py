"""A features.h5 of made features, written by the store's own writer, and the data set that it belongs to."""

from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.cache.hdf5 import make_content, write_file
from imbpipe.datasets.dataset import Dataset

CLASSES = ("common", "middling", "rare")


def made(n: int, d: int, *, seed: int = 0, task: Any = "multi-label") -> tuple[np.ndarray, Dataset]:
    """(n, d) features that show their three classes, the labels of which a row may have several or none."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n, 3)) < [0.6, 0.3, 0.08]
    if task == "single-label":
        labels = np.eye(3, dtype=bool)[rng.choice(3, n, p=[0.6, 0.3, 0.1])]
    features = (labels @ rng.normal(size=(3, d)) + 1.5 * rng.normal(size=(n, d))).astype(np.float32)
    ids = tuple(f"image{row:06d}" for row in range(n))
    return features, Dataset("made", ids, tuple(map(Path, ids)), labels, CLASSES, task)


def write(path: Path, features: np.ndarray, dataset: Dataset, *, dtype: str = "float32") -> Path:
    """`path`, after writing."""
    content = make_content(
        dataset=dataset.name,
        encoder="eye",
        task=dataset.task,
        spec={"encoder": {}, "weights": "random", "dim": features.shape[1], "dtype": dtype},
        class_names=dataset.class_names,
        ids=dataset.ids,
        labels=dataset.labels,
        image_digest=np.zeros((len(features), 16), np.uint8),
        quarantined={},
    )
    stored = features.astype(content.dtype)
    write_file(path, content, (stored[start : start + 4096] for start in range(0, len(stored), 4096)))
    return path
