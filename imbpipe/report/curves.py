"""Precision at each recall, of every setting and class."""

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.curve import Curve
from imbpipe.report.study import Study
from imbpipe.types import Labels

POINTS = 26
"""Recalls from 0 to 1 at which a curve is drawn."""

MOST_SEEDS = 3
"""Seeds of a split whose curves are averaged."""


def precision_recall(study: Study) -> list[list[list[int] | None]]:
    """[setting][class] -> POINTS precisions in thousandths, or None for a class without positives.

    Precision at a recall is the highest at that recall or above, as Davis & Goadrich (2006) interpolate;
    the mean over the first seeds of each split.
    """
    classes = len(study.dataset.class_names)
    total = np.zeros((len(study.settings), classes, POINTS))
    count = np.zeros((classes, 1))
    for grid in study.grids:
        for seed in grid.seeds[:MOST_SEEDS]:
            runs = [study.store.scores(*grid.place, grid.keys[setting, seed]) for setting in study.settings]
            labels = runs[0].test_labels
            total += interpolated(np.stack([run.test for run in runs]), labels)
            count += np.any(labels, axis=0).reshape(-1, 1)
    known = count[:, 0] > 0
    means = np.round(1000 * total / np.maximum(count, 1)).astype(int)
    return [[row.tolist() if known[c] else None for c, row in enumerate(setting)] for setting in means]


def interpolated(scores: NDArray[np.floating], labels: Labels) -> NDArray[np.float64]:
    """scores (k, n, c), labels (n, c) -> (k, c, POINTS) precisions; 0 for a class without positives."""
    recalls = np.linspace(0, 1, POINTS)
    curve = Curve.of(scores, labels)
    true = curve.from_here_up(curve.positives)
    predicted = true + curve.from_here_up(curve.negatives)
    ends = np.append(curve.start[1:], len(true))
    out = np.zeros((len(curve.start), POINTS))
    for place, (start, end) in enumerate(zip(curve.start, ends, strict=True)):
        if true[start] == 0:
            continue
        recall = true[start:end][::-1] / true[start]  # ascending
        best = np.maximum.accumulate(true[start:end] / predicted[start:end])[::-1]
        out[place] = best[np.searchsorted(recall, recalls - 1e-12)]
    return out.reshape(*curve.shape, POINTS)
