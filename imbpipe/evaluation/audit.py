"""All that saved scores say of each class: metrics, intervals, and what the paper would have plotted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.evaluation.ap_interval import ap_intervals
from imbpipe.evaluation.counts import COUNTED
from imbpipe.evaluation.crossfit import PARTS, crossfitted
from imbpipe.evaluation.curve import PerClass
from imbpipe.evaluation.intervals import wilson_interval
from imbpipe.evaluation.metrics import METRICS, Scored, evaluate
from imbpipe.evaluation.saved import SavedScores
from imbpipe.evaluation.thresholds import best_thresholds, paper_thresholds


@dataclass(frozen=True, eq=False)
class Decided:
    """predicted: (k, n, c). thresholds: (k, c), medians where cross-fitted. how: in words, whence."""

    predicted: NDArray[np.bool_]
    thresholds: PerClass
    how: str

    def scored(self, saved: SavedScores) -> Scored:
        """The decisions as scores of 0 and 1, for the metrics of decisions."""
        half = np.full(self.thresholds.shape, 0.5)
        return Scored(self.predicted.astype(np.float32), saved.labels, half)


def decide(
    saved: SavedScores, beta: float, *, threshold: float | None = None, validation: SavedScores | None = None
) -> Decided:
    """Predictions at one given threshold; at each run's best on validation scores; else cross-fitted.

    Raises ResultsError: validation scores of other classes or runs. UsageError: a beta that means nothing.
    """
    if threshold is not None:
        thresholds = np.full((len(saved.runs), len(saved.class_names)), threshold)
        return Decided(saved.scores > threshold, thresholds, f"{threshold:g} for every class, as given")
    if validation is not None:
        for what, own, other in (
            ("classes", saved.class_names, validation.class_names),
            ("runs", saved.runs, validation.runs),
        ):
            if own != other:
                raise ResultsError(
                    f"the validation file has the {what} {', '.join(other)} in the place of {', '.join(own)}",
                    "Save both files with the same names, in the same order",
                )
        thresholds = best_thresholds(validation.labels, validation.scores, beta)
        how = f"the best for F{beta:g} on {len(validation.labels)} validation images"
        return Decided(saved.scores > thresholds[:, None], thresholds, how)
    predicted, thresholds = crossfitted(saved.labels, saved.scores, np.random.default_rng(0), beta)
    how = f"the best for F{beta:g} on these images, cross-fitted in {PARTS} parts"
    return Decided(predicted, thresholds, how)


@dataclass(frozen=True, eq=False)
class Audit:
    """values: metric -> (k, c). ap, precision, recall: (low, high), (k, c) each. mean_ap: (low, high), (k,).

    paper: the same metrics at the paper's thresholds (k, c), which are searched for on the scored images.
    """

    positives: NDArray[np.int64]
    values: dict[str, PerClass]
    ap: tuple[PerClass, PerClass]
    precision: tuple[PerClass, PerClass]
    recall: tuple[PerClass, PerClass]
    mean_ap: tuple[PerClass, PerClass]
    paper: dict[str, PerClass]
    paper_thresholds: PerClass


def audit(saved: SavedScores, decided: Decided) -> Audit:
    """Every metric of every run and class."""
    scored = Scored(saved.scores, saved.labels, decided.thresholds)
    decisions = decided.scored(saved)
    values = evaluate(scored, [name for name in METRICS if name not in COUNTED])
    counts, intervals = decisions.confusion, ap_intervals(scored)
    searched = paper_thresholds(saved.labels, saved.scores)
    paper = evaluate(Scored(saved.scores, saved.labels, searched), COUNTED)
    return Audit(
        saved.labels.sum(axis=0),
        {name: (values | evaluate(decisions, COUNTED))[name] for name in METRICS},
        intervals.classes,
        wilson_interval(counts.tp, counts.tp + counts.fp),
        wilson_interval(counts.tp, decisions.positives),
        intervals.mean,
        paper,
        searched,
    )
