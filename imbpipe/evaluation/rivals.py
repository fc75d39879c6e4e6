"""Saved runs against the first of them: how large the difference is, and where it comes from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.adjust import benjamini_hochberg, holm
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

    together: the mean over classes. answer: its verdict, by Holm over all runs. classes: (c,) each alone.
    adjusted, answers: (c,) their p-values by Benjamini-Hochberg over the classes, and what follows from them.
    f2: where the difference in F2 comes from, (1, c).
    """

    run: str
    together: Effect
    answer: str
    classes: Effect
    adjusted: NDArray[np.float64]
    answers: NDArray[np.str_]
    f2: Gain


def against_the_first(saved: SavedScores, decided: Decided, metric: str) -> list[Rival]:
    """Every other run, on the same images; one run each, so that seed noise is not covered.

    Raises UsageError: a metric that is not known by image.
    """
    scored = Scored(saved.scores, saved.labels, decided.thresholds)
    decisions = decided.scored(saved)
    compared = decisions if metric in COUNTED else scored
    images = np.arange(len(saved.labels))
    every, first = slice(None), slice(0, 1)
    each = np.eye(len(saved.class_names), dtype=bool)
    others = [slice(number, number + 1) for number in range(1, len(saved.runs))]
    trials = [Trial(compared.part(own, every), compared.part(first, every), images) for own in others]
    together = [effect([trial], metric, np.ones(len(each), dtype=bool)) for trial in trials]
    p = holm([float(one.p) for one in together])
    found = []
    for place, (own, trial) in enumerate(zip(others, trials, strict=True)):
        one, classes = together[place], effect([trial], metric, each)
        answer = str(one.answer(p[place]))
        now = decisions.part(first, every).confusion
        gain = decompose(decisions.part(own, every).confusion, scored.part(first, every), "f2", now=now)
        adjusted = benjamini_hochberg(classes.p)
        answers = classes.answer(adjusted)
        found.append(Rival(saved.runs[place + 1], one, answer, classes, adjusted, answers, gain))
    return found
