"""How often each class occurs, and what resampling makes of it."""

from typing import Any

import numpy as np

from imbpipe.datasets.frequency import class_counts
from imbpipe.report.study import Study, setting_name
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet


def distributions(study: Study) -> list[dict[str, Any]]:
    """The training images as they are, then as each resampling plan draws them in its last epoch.

    name: of the setting. counts: (c,) images or draws of each class an epoch. rows: of an epoch.
    kept: the distinct training rows, as positions in the split's training part.
    """
    data = study.grids[0].plan_data()
    everything = np.arange(len(data.labels))
    found = [_distribution("training images", everything, data)]
    for setting in study.settings[1:]:
        plan = STRATEGIES[setting.strategy](data, np.random.default_rng(0), **setting.values)
        rows = _drawn(plan, len(data.labels))
        if rows is not None:
            found.append(_distribution(setting_name(setting), rows, data))
    return found


def _drawn(plan: Plan, n: int) -> np.ndarray | None:
    """The real rows of an epoch of the last phase; None where it draws every row once."""
    phase: Phase = plan.phases[-1]
    if phase.probability is not None:
        count = n if phase.rows is None else len(phase.rows)
        share = phase.probability / phase.probability.sum()
        rows = np.random.default_rng(0).choice(len(share), count, p=share)
    elif phase.rows is not None:
        rows = phase.rows
    else:
        return None
    return rows[rows < n]


def _distribution(name: str, rows: np.ndarray, data: TrainingSet) -> dict[str, Any]:
    return {
        "name": name,
        "rows": len(rows),
        "counts": class_counts(data.labels[rows]).tolist(),
        "kept": np.unique(rows),
    }
