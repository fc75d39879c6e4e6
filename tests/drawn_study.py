"""Finished runs by heads that nobody trained: for the page at sizes that take long to train."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material
from imbpipe.experiments.pool import Pool
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.types import FeatureSet, Labels

DIM, SIGNAL = 64, 0.35

SETTINGS = (
    BASELINE,
    *(Setting.of("upweight", factor=f) for f in (1.5, 2, 2.5, 3, 4, 5, 7, 10)),
    *(Setting.of("upweight", factor=f, per="label") for f in (1.5, 2, 2.5, 3, 4, 5, 7, 10)),
    *(Setting.of("undersample", threshold=t) for t in (100, 200, 300, 500, 1000, 2000, 3000, 5000)),
    *(Setting.of("oversample", threshold=t) for t in (500, 1000, 2000, 3000, 5000, 10_000, 20_000, 30_000)),
    *(Setting.of("focal", gamma=g) for g in (0.5, 1, 2, 3, 5)),
    *(Setting.of("effective-number", cb_beta=b) for b in (0.9, 0.99, 0.999, 0.9999)),
    *(Setting.of("asymmetric", gamma_neg=g) for g in (2, 4, 6)),
    *(Setting.of("class-aware", length=way) for way in ("steps", "epochs")),
    *(Setting.of(name) for name in ("square-root", "logit-adjusted-loss", "inverse-frequency")),
)  # fmt: skip
"""Fifty."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Linear heads in the place of a trained bank. weights: (k, d, c). bias: (k, c)."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) -> (k, n, c)."""
        return expit(np.einsum("nd,kdc->knc", features, self.weights, optimize=True) + self.bias[:, None])


def drawn_runs(
    labels: Labels,
    images: Sequence[Path],
    class_names: Sequence[str],
    store: ResultStore,
    *,
    settings: Sequence[Setting] = SETTINGS,
    splits: int,
    seeds: int,
    encoder: str = "noise",
) -> Pool:
    """A pool of which every run is finished, kept as trained ones are; what is there already stays."""
    rng = np.random.default_rng(0)
    means = SIGNAL * rng.standard_normal((labels.shape[1], DIM))
    features = (labels @ means + rng.standard_normal((len(labels), DIM))).astype(np.float32)
    ids, names = tuple(path.stem for path in images), tuple(class_names)
    dataset = Dataset("drawn", ids, tuple(images), labels, names, "multi-label")
    made_by = dataset.name, encoder, {"weights": "random"}, "d"
    source = FeatureSet(features, ids, labels, names, dataset.task, *made_by, {})
    material = Material(features, dataset, source, ())
    taste = [_taste(rng, labels.shape[1]) for _ in settings]
    grids = []
    for split in range(splits):
        own = tuple(range(split * seeds, (split + 1) * seeds))
        grid = Grid(material, make_split(dataset, split), tuple(settings), own)
        grids.append(grid)
        missing = grid.missing(store)
        for seed in dict.fromkeys(seed for _, seed in missing):
            bank = _bank(features, labels, grid.split.train, taste, seed)
            cells = [(setting, seed) for setting in settings]
            grid.keep(bank, [grid.run(*cell) for cell in cells], cells, store)
    return Pool(tuple(grids))


def _taste(rng: np.random.Generator, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a setting does to any head: to its weights and its bias."""
    return 0.02 * rng.standard_normal((DIM, classes)), 0.5 * rng.standard_normal(classes)


def _bank(features, labels, train, taste, seed) -> Drawn:
    """Ridge heads on nine tenths of the training rows, bent as each setting bends them."""
    rows = np.random.default_rng(seed).choice(train, len(train) * 9 // 10, replace=False)
    x, y = features[rows].astype(float), labels[rows] - labels[rows].mean(axis=0)
    weights = np.linalg.solve(x.T @ x + 5 * np.eye(DIM), x.T @ y)
    bias = np.log(labels[rows].mean(axis=0) + 1e-3)
    return Drawn(
        np.stack([5 * (weights + change) for change, _ in taste]).astype(np.float32),
        np.stack([bias + shift for _, shift in taste]).astype(np.float32),
    )
