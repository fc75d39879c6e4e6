"""What a criterion is, and how many images of a class a strategy keeps by it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from imbpipe.strategies.limits import at_least_one, rarest_count
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.selection.features import once
from imbpipe.types import Labels, Rows, TrainingSet

Pick = Callable[[Rows, Rows, int], Rows]
"""(pool, kept, count) -> the `count` rows of `pool` to keep beside `kept`.

pool: (p,) rows of one class, ascending; kept: (q,) others of it that are kept already; 0 < count < p.
"""


@dataclass(frozen=True)
class Criterion:
    """make: (data, rng) -> Pick. seeded: whether what it picks depends on the generator."""

    make: Callable[[TrainingSet, Generator], Pick]
    seeded: bool


CRITERIA: dict[str, Criterion] = {}


def criterion(
    name: str, *, seeded: bool = False
) -> Callable[[Callable[[TrainingSet, Generator], Pick]], Callable[[TrainingSet, Generator], Pick]]:
    """Offer the decorated function to `subset` and to the strategy of that name."""

    def register(make: Callable[[TrainingSet, Generator], Pick]) -> Callable[[TrainingSet, Generator], Pick]:
        CRITERIA[name] = Criterion(make, seeded)
        return make

    return register


@criterion("random", seeded=True)
def at_random(data: TrainingSet, rng: Generator) -> Pick:
    return lambda pool, kept, count: rng.choice(pool, count, replace=False)


def select(name: str, data: TrainingSet, rng: Generator, threshold: int | None) -> Plan:
    """The plan of the strategy `name`: at most `threshold` images of a class, picked by its criterion.

    threshold: None takes the rarest class's count. Raises UsageError: it is below 1.
    """
    limit = rarest_count(data.labels) if threshold is None else at_least_one(name, "threshold", threshold)
    return plan_by(name, data, rng, limit, lambda pick: fill(data.labels, limit, pick))


def plan_by(name: str, data: TrainingSet, rng: Generator, size: float, rows: Callable[[Pick], Rows]) -> Plan:
    """A plan of the rows that `rows` takes by the criterion; found once where no seed changes them.

    size: what, beside the criterion, tells these rows from others of the same data.
    """
    known = CRITERIA[name]
    if known.seeded:
        return Plan((Phase(rows=rows(known.make(data, rng))),))
    return Plan((Phase(rows=once(data, (name, size), lambda: rows(known.make(data, rng)))),))


def fill(labels: Labels, limit: int, pick: Pick) -> Rows:
    """Rows, ascending, such that a class has `limit` of them or all that it has.

    Classes come in the order of their columns, each filled up counting what earlier ones brought.
    """
    kept = np.zeros(len(labels), dtype=bool)
    for column in labels.T:
        missing = limit - int(np.count_nonzero(kept & column))
        pool = np.flatnonzero(column & ~kept)
        if missing >= len(pool):
            kept[pool] = True
        elif missing > 0:
            kept[pick(pool, np.flatnonzero(kept & column), missing)] = True
    return np.flatnonzero(kept)
