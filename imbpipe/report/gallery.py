"""The images of a class that a setting gets most wrong."""

from typing import Any

import numpy as np

from imbpipe.report.pictures import Thumbnails
from imbpipe.report.study import Study

EACH = 5
"""Images of each kind."""

BUDGET = 2_600_000
"""Characters of thumbnails on the page; classes that come after it is spent, the most frequent, show none."""


def galleries(study: Study, thumbnails: Thumbnails) -> list[list[dict[str, Any] | None]]:
    """[setting][class], for the baseline and the two settings with the best rare classes; others are empty.

    missed: test images of the class with the lowest scores. wrong: others with the highest. Each a list
    of [thumbnail, score in thousandths, id, class numbers], mean scores over the seeds of the first split.
    """
    grid = study.grids[0]
    split_rows = grid.split.test
    out: list[list[dict[str, Any] | None]] = [[] for _ in study.settings]
    labels = study.dataset.labels[split_rows]
    rarest_first = np.argsort(labels.sum(axis=0), kind="stable")
    for place in notable(study):
        setting = study.settings[place]
        runs = [study.store.scores(*grid.place, grid.keys[setting, seed]).test for seed in grid.seeds]
        scores = np.mean(runs, axis=0, dtype=float)
        shown: list[dict[str, Any] | None] = [None] * labels.shape[1]
        for column in rarest_first:
            if thumbnails.bytes < BUDGET and labels[:, column].any():
                order = np.argsort(scores[:, column], kind="stable")
                positive = labels[order, column]
                pick = {"missed": order[positive][:EACH], "wrong": order[~positive][::-1][:EACH]}
                shown[column] = {
                    kind: [
                        [
                            thumbnails.number(study.dataset.images[split_rows[i]]),
                            round(1000 * float(scores[i, column])),
                            study.dataset.ids[split_rows[i]],
                            np.flatnonzero(labels[i]).tolist(),
                        ]
                        for i in chosen
                    ]
                    for kind, chosen in pick.items()
                }
        out[place] = shown
    return out


def notable(study: Study, most: int = 3) -> list[int]:
    """The baseline and the settings with the highest mean average precision on low-frequency classes."""
    values = study.values("ap")[..., study.low]
    known = ~np.isnan(values).any(axis=(0, 1))
    means = values[..., known].mean(axis=(0, 2)) if known.any() else np.zeros(len(study.settings))
    best = np.argsort(-means[1:], kind="stable") + 1
    return [0, *best[: most - 1].tolist()]
