"""Claims put to the finished runs of an experiment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.evaluation.effects import effect
from imbpipe.experiments.claims.answer import Answer, Found, answer, found_by, masks_of
from imbpipe.experiments.claims.claim import Claim, Hypothesis
from imbpipe.experiments.experiment import Experiment
from imbpipe.experiments.pool import Pool
from imbpipe.experiments.ranking import low_frequency_of
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.trials import Trials

REMEDY = "Run: imbpipe claims"


@dataclass(frozen=True)
class Placed:
    """A claim on one (data set, encoder) under one protocol.

    protocol: the experiment's title. answer: None where it cannot be put there; `note` says why.
    """

    claim: Claim
    protocol: str
    metric: str
    dataset: str
    encoder: str
    weights: str
    answer: Answer | None
    note: str = ""


def settings_for(claims: Sequence[Claim], experiment: Experiment, dataset: str) -> tuple[Setting, ...]:
    """All that has to be trained on a data set, the experiment's own settings included."""
    own = experiment.settings(dataset)
    asked = (setting for claim in claims for setting in claim.settings(own))
    return tuple(dict.fromkeys([*own, *asked]))


def put(claims: Sequence[Claim], experiment: Experiment, pool: Pool, store: ResultStore) -> list[Placed]:
    """Every claim that was made for such data and encoders, with its answer or why there is none."""
    data, source = pool.material.dataset, pool.material.source
    asked = [claim for claim in claims if claim.made_for(data.task, source.encoder)]
    own = experiment.settings(data.name)
    finished = _finished(pool, store)
    judge = _Judge(Trials(pool, store), experiment.metric) if BASELINE in finished else None
    placed = []
    for claim in asked:
        note = _why_not(claim, own, finished, experiment)
        found = [] if note or judge is None else judge.tests(claim, own)
        if not found and not note:
            note = f"{data.name} has none of the classes it names"
        told = answer(found, any_of=claim.any_of) if found else None
        placed.append(
            Placed(
                claim, experiment.title, experiment.metric, data.name, source.encoder,
                source.spec["weights"], told, note,
            )
        )  # fmt: skip
    return placed


def _finished(pool: Pool, store: ResultStore) -> set[Setting]:
    missing = {setting for grid in pool.grids for setting, _ in grid.missing(store)}
    return set(pool.settings) - missing


def _why_not(claim: Claim, own: tuple[Setting, ...], finished: set[Setting], experiment: Experiment) -> str:
    for hypothesis in claim.hypotheses:
        if not hypothesis.pairs(own):
            picks = (hypothesis.ours, hypothesis.theirs)
            lacking = next(pick.like or pick.strategy for pick in picks if not pick.of(own))
            return f"{experiment.title} has no {lacking} here. Add it to the experiment file"
    unfinished = [setting for setting in claim.settings(own) if setting not in finished]
    if unfinished:
        name = f"{unfinished[0].strategy} {unfinished[0].label}".strip()
        return f"no finished runs of {name}. {REMEDY}"
    return ""


class _Judge:
    """Measures each pair of settings once, for all hypotheses about it."""

    def __init__(self, trials: Trials, metric: str) -> None:
        self._trials, self._metric = trials, metric
        dataset = trials.pool.material.dataset
        self._names = dataset.class_names
        self._counts = class_counts(dataset.labels)
        baseline = [grid.keys[BASELINE, seed] for grid in trials.pool.grids for seed in grid.seeds]
        results = trials.store.load(*trials.pool.place, baseline)
        self._low = low_frequency_of(results, self._names)
        fewest = results.groupby("class_name")["positives_test"].min()
        self._known = fewest.reindex(list(self._names)).to_numpy() >= 2

    def tests(self, claim: Claim, own: tuple[Setting, ...]) -> list[Found]:
        return [
            test
            for hypothesis in claim.hypotheses
            for pairs in [hypothesis.pairs(own)]
            for ours, theirs in pairs
            for test in self._tests(hypothesis, ours, theirs, ours.label if len(pairs) > 1 else "")
        ]

    def _tests(self, hypothesis: Hypothesis, ours: Setting, theirs: Setting, setting: str) -> list[Found]:
        masks, names = self._masks(hypothesis)
        if not names:
            return []
        found = effect(self._trials.of(ours, theirs), self._metric, masks, margin=hypothesis.margin)
        return found_by(hypothesis, found, names, setting)

    def _masks(self, hypothesis: Hypothesis) -> tuple[NDArray[np.bool_] | NDArray[np.float64], list[str]]:
        low = self._low & self._known if hypothesis.classes == "trend" else self._low
        return masks_of(hypothesis.classes, self._names, self._counts, low)
