"""Trained heads scored on the images they were not trained on, and measured."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.stored import select
from imbpipe.datasets.frequency import class_counts, low_frequency
from imbpipe.experiments.results import RunScores, to_logits, to_scores
from imbpipe.experiments.setting import Setting
from imbpipe.strategies.plan import Cut

if TYPE_CHECKING:
    import pandas as pd

    from imbpipe.experiments.grid import Grid
    from imbpipe.heads.bank import Bank

SCORES = 1 << 21
"""Scores of heads that are measured together: they take about 34 bytes each."""


def measured(
    grid: "Grid", bank: "Bank", cut: Cut, cells: Sequence[tuple[Setting, int]]
) -> Iterator[tuple["pd.DataFrame", RunScores]]:
    """Of every head of a bank, in order, its metrics, a row a class, and its scores. cells: of the heads."""
    split = grid.split
    parts = [bank.scores(select(grid.material.features, rows)) for rows in (split.validation, split.test)]
    at_once = max(1, SCORES // max(part[0].size for part in parts))
    for start in range(0, len(cells), at_once):
        some = slice(start, start + at_once)
        validation, test = (to_scores(to_logits(part[some])) for part in parts)
        yield from _measured(grid, validation, test, cut, cells[some])


def _measured(
    grid: "Grid",
    validation: NDArray[np.float32],
    test: NDArray[np.float32],
    cut: Cut,
    cells: Sequence[tuple[Setting, int]],
) -> Iterator[tuple["pd.DataFrame", RunScores]]:
    """validation, test: (k, v, c) and (k, t, c) scores of the cells' heads."""
    from imbpipe.evaluation.metrics import Scored, evaluate
    from imbpipe.evaluation.thresholds import thresholds_by

    dataset, split = grid.material.dataset, grid.split
    thresholds = thresholds_by(cut, dataset.labels[split.validation], validation)
    metrics = evaluate(Scored(test, dataset.labels[split.test], thresholds))
    for place, (setting, seed) in enumerate(cells):
        columns = {name: values[place] for name, values in metrics.items()}
        scores = RunScores(
            validation[place],
            test[place],
            dataset.labels[split.validation],
            dataset.labels[split.test],
            split.validation,
            split.test,
            dataset.class_names,
            thresholds[place],
        )
        yield _table(grid, setting, seed, thresholds[place], columns), scores


def _table(
    grid: "Grid", setting: Setting, seed: int, thresholds: np.ndarray, metrics: dict[str, Any]
) -> "pd.DataFrame":
    import pandas as pd

    dataset, source = grid.material.dataset, grid.material.source
    counts = class_counts(dataset.labels[grid.split.train])
    return pd.DataFrame(
        {
            "run": grid.keys[setting, seed],
            "dataset": dataset.name,
            "task": dataset.task,
            "images": len(dataset),
            "encoder": source.encoder,
            "weights": source.spec["weights"],
            "strategy": setting.strategy,
            "setting": setting.label,
            "parameters": setting.parameters,
            "seed": seed,
            "split": grid.split.name,
            "streamed": grid.material.stored is not None,
            "class_name": dataset.class_names,
            "count_all": class_counts(dataset.labels),
            "count_train": counts,
            "low_frequency": low_frequency(counts, grid.percentile),
            "positives_test": class_counts(dataset.labels[grid.split.test]),
            "threshold": thresholds,
            **metrics,
        }
    )
