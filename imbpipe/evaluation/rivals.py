"""Saved runs against the first of them: how large the difference is, and where it comes from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.adjust import benjamini_hochberg
from imbpipe.evaluation.audit import Decided
from imbpipe.evaluation.counts import COUNTED
from imbpipe.evaluation.decompose import Gain, decompose
from imbpipe.evaluation.effects import Effect, effect
from imbpipe.evaluation.saved import SavedScores
from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.trial import Trial


@dataclass(frozen=True, eq=False)
class Rival:
    """One run against the first.

    together: the mean over classes. classes: (c,) each alone. adjusted: (c,) their p-values by
    Benjamini-Hochberg over the classes. f2: where the difference in F2 comes from, (1, c).
    """

    run: str
    together: Effect
    classes: Effect
    adjusted: NDArray[np.float64]
    f2: Gain


def against_the_first(saved: SavedScores, decided: Decided, metric: str) -> list[Rival]:
    """Every other run, on the same images; one run each, so that seed noise is not covered.

    Raises UsageError: a metric that is not known by image.
    """
    return [_rival(saved, decided, metric, number) for number in range(1, len(saved.runs))]


def _rival(saved: SavedScores, decided: Decided, metric: str, number: int) -> Rival:
    every = slice(None)
    own, first = slice(number, number + 1), slice(0, 1)
    decisions = decided.scored(saved)
    scored = Scored(saved.scores, saved.labels, decided.thresholds)
    compared = decisions if metric in COUNTED else scored
    trial = Trial(compared.part(own, every), compared.part(first, every), np.arange(len(saved.labels)))
    masks = np.eye(len(saved.class_names), dtype=bool)
    classes = effect([trial], metric, masks)
    gain = decompose(
        decisions.part(own, every).confusion,
        scored.part(first, every),
        "f2",
        now=decisions.part(first, every).confusion,
    )
    together = effect([trial], metric, np.ones(len(masks), dtype=bool))
    return Rival(saved.runs[number], together, classes, benjamini_hochberg(classes.p), gain)
