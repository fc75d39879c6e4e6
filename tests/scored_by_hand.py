"""Runs whose scores are made by hand and kept as trained ones are, so that the right answer is known."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material
from imbpipe.experiments.pool import Pool
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import Setting
from imbpipe.types import FeatureSet

CLASSES = (
    "agriculture", "bare_ground", "partly_cloudy", "rare", "rarer", "rarest", "road",
    "selective_logging", "water",
)  # fmt: skip
SHARES = (0.5, 0.3, 0.4, 0.06, 0.05, 0.04, 0.35, 0.2, 0.25)

Signal = Callable[[Setting, str], float]
"""How far a setting's scores of a class's images lie above those of others, in standard deviations."""


@dataclass(frozen=True)
class HandMadeBank:
    """One head; row i's first feature is i."""

    runs: tuple[int, ...]
    shifts: np.ndarray
    noise: np.ndarray
    labels: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        rows = features[:, 0].astype(int)
        z = self.labels[rows] * self.shifts + self.noise[rows]
        return (1 / (1 + np.exp(-z)))[None].astype(np.float32)


def make_pool(settings: tuple[Setting, ...], splits: int = 2, seeds: int = 2, n: int = 1200) -> Pool:
    rng = np.random.default_rng(0)
    labels = rng.random((n, len(CLASSES))) < SHARES
    features = np.arange(n, dtype=np.float32)[:, None]
    ids = tuple(map(str, range(n)))
    data = Dataset("by-hand", ids, tuple(map(Path, ids)), labels, CLASSES, "multi-label")
    source = FeatureSet(
        features, ids, labels, CLASSES, "multi-label", "by-hand", "resnet18", {"weights": "none"}, "x", {}
    )
    material = Material(features, data, source, ())
    return Pool(
        tuple(
            Grid(
                material,
                make_split(data, split),
                settings,
                tuple(range(split * seeds, (split + 1) * seeds)),
            )
            for split in range(splits)
        )
    )


def keep_scores(monkeypatch, pool: Pool, store: ResultStore, signal: Signal, own_noise: float = 0.05) -> None:
    """Fill the store. own_noise: what a setting's scores scatter apart from what all settings share."""
    from imbpipe.heads.posthoc import finish

    labels = pool.material.dataset.labels
    for number, grid in enumerate(pool.grids):
        todo = grid.missing(store)

        def heads(*_, number=number, todo=todo, **__):
            for run, (setting, seed) in enumerate(todo):
                shared = np.random.default_rng([number, seed]).standard_normal(labels.shape)
                place = 1 + pool.settings.index(setting)  # a trailing 0 would not make another seed
                own = np.random.default_rng([number, seed, place]).standard_normal(labels.shape)
                shifts = np.array([signal(setting, name) for name in CLASSES])
                yield HandMadeBank((run,), shifts, shared + own_noise * own, labels)

        monkeypatch.setattr(finish, "finished_heads", heads)
        grid.train(store)
