"""Trained heads with the steps of their plans done."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from imbpipe.cache.stored import select
from imbpipe.heads.bank import Bank, train_heads
from imbpipe.heads.posthoc.step import POSTHOC, Part, Seen, take
from imbpipe.heads.run import Protocol, Run
from imbpipe.types import FeatureSource


def finished_heads(
    features: FeatureSource, labels: NDArray[Any], runs: Sequence[Run], protocol: Protocol, **how: Any
) -> Iterator[Bank]:
    """As `train_heads`, with the steps after training done; the heads of a bank share steps and cut.

    Runs that differ in what follows training only are trained once.
    how: as `train_heads` takes it. Raises also UnknownNameError: a step that there is not, before any
    training; PlanError: a step that cannot be done.
    """
    for run in runs:
        for name, _ in run.plan.posthoc:
            POSTHOC[name]
    alike = _trained_alike(runs)
    firsts = [runs[numbers[0]] for numbers in alike]
    finish = _Finish(features, labels, runs, protocol)
    for bank in train_heads(features, labels, firsts, protocol, **how):
        yield from finish(bank, [alike[first] for first in bank.runs])


def _trained_alike(runs: Sequence[Run]) -> list[list[int]]:
    """Numbers of the runs that training does not tell apart, in the order of the first of each."""
    import joblib

    groups: dict[Any, list[int]] = defaultdict(list)
    for number, run in enumerate(runs):
        plan = run.plan
        trained_on = (plan.phases, plan.synthetic, plan.start)
        groups[run.seed, id(run.train), id(run.validation), joblib.hash(trained_on)].append(number)
    return list(groups.values())


class _Finish:
    def __init__(
        self, features: FeatureSource, labels: NDArray[Any], runs: Sequence[Run], protocol: Protocol
    ) -> None:
        self._features, self._labels, self._runs, self._protocol = features, labels, runs, protocol
        self._seen: dict[tuple[int, int], Seen] = {}

    def __call__(self, bank: Bank, alike: Sequence[Sequence[int]]) -> Iterator[Bank]:
        """alike: of each head, the runs that it is the head of."""
        import joblib

        groups: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        for place, numbers in enumerate(alike):
            for number in numbers:
                run = self._runs[number]
                key = (id(run.train), id(run.validation), joblib.hash((run.plan.posthoc, run.plan.cut)))
                groups[key].append((place, number))
        for members in groups.values():
            places, numbers = zip(*members, strict=True)
            yield self._done(replace(take(bank, places), runs=numbers))

    def _done(self, heads: Bank) -> Bank:
        steps = self._runs[heads.runs[0]].plan.posthoc
        seen = self._seen_by(heads) if steps else None
        for name, parameters in steps:
            heads = POSTHOC[name](heads, seen, **parameters)
        return heads

    def _seen_by(self, heads: Bank) -> Seen:
        run = self._runs[heads.runs[0]]
        key = (id(run.train), id(run.validation))
        if key not in self._seen:
            training, validation = (
                Part(select(self._features, rows), self._labels[rows]) for rows in (run.train, run.validation)
            )
            self._seen[key] = Seen(training, validation, self._protocol, ())
        return replace(self._seen[key], seeds=tuple(self._runs[number].seed for number in heads.runs))
