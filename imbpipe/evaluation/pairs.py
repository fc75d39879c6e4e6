"""Two sets of runs compared seed by seed."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.evaluation.intervals import Interval, t_interval

EXACT_RUNS = 14
"""Up to this many pairs every way to flip their signs is counted: 2^13 up to symmetry."""


@dataclass(frozen=True, eq=False)
class Runs:
    """values: (r, ...), one row a run. seeds: r distinct keys: a seed, or (seed, split)."""

    values: NDArray[np.float64]
    seeds: Sequence[Hashable]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.seeds):
            raise ResultsError(f"{len(self.values)} runs with {len(self.seeds)} seeds", "Give a seed a run")
        twice = [seed for place, seed in enumerate(self.seeds) if seed in self.seeds[:place]]
        if twice:
            raise ResultsError(
                f"two runs of a setting have the seed {twice[0]}", "Compare one setting at a time"
            )


@dataclass(frozen=True, eq=False)
class Difference(Interval):
    """Of ours - theirs; `runs` counts the pairs.

    p: (...) two-sided, if each pair could as well have come the other way round.
    """

    p: NDArray[np.float64]


def paired_difference(
    ours: Runs, theirs: Runs, rng: Generator, *, confidence: float = 0.95, flips: int = 9_999
) -> Difference:
    """Ours - theirs over the seeds that both have: mean, t-interval, sign-flip permutation p-value.

    Values: (r, ...) and (s, ...) of the same trailing shape; a pair with a NaN is left out of its column.
    rng, flips: used only above 14 pairs, where the p-value is drawn; it is exact up to there.
    Raises ResultsError: no seed is shared, shapes that differ.

    Source: Student (1908) for the interval; Fisher (1935), section 21, for the test.
    """
    difference = _matched(ours, theirs)
    interval = t_interval(difference, confidence)
    p = sign_flip_p(difference, rng, flips=flips)
    return Difference(interval.mean, interval.low, interval.high, interval.runs, p)


def _matched(ours: Runs, theirs: Runs) -> NDArray[np.float64]:
    if ours.values.shape[1:] != theirs.values.shape[1:]:
        raise ResultsError(
            f"runs of shape {ours.values.shape[1:]} against {theirs.values.shape[1:]}",
            "Compare runs over the same classes",
        )
    place = {seed: row for row, seed in enumerate(theirs.seeds)}
    rows = [(row, place[seed]) for row, seed in enumerate(ours.seeds) if seed in place]
    if not rows:
        raise ResultsError("the two sets of runs share no seed", "Train both with the same seeds")
    mine, other = np.array(rows).T
    return np.asarray(ours.values[mine], dtype=np.float64) - theirs.values[other]


def sign_flip_p(
    differences: NDArray[np.float64], rng: Generator, *, flips: int = 9_999
) -> NDArray[np.float64]:
    """Two-sided p-value that paired differences (r, ...) centre on 0; NaN where all of them are NaN.

    The share of sign flips whose absolute sum is no smaller than the one seen: of all of them up to 14
    pairs, else of `flips` random ones and the one seen.

    Source: Fisher (1935), section 21; Phipson & Smyth (2010) for counting the one seen.
    """
    known = ~np.isnan(differences)
    pairs = np.where(known, differences, 0).reshape(len(differences), -1)
    rounding = 1e-12 * np.abs(pairs).sum(axis=0)  # sums closer than this are equal
    enough = np.abs(pairs.sum(axis=0)) - rounding
    exact = len(pairs) <= EXACT_RUNS
    signs = _all_signs(len(pairs)) if exact else rng.choice([-1.0, 1.0], size=(flips, len(pairs)))
    extreme = (np.abs(signs @ pairs) >= enough).sum(axis=0, dtype=np.float64)
    p = extreme / len(signs) if exact else (extreme + 1) / (flips + 1)
    return np.where(known.any(axis=0), p.reshape(differences.shape[1:]), np.nan)


def _all_signs(runs: int) -> NDArray[np.float64]:
    """(2^(runs - 1), runs) of -1 and 1, the first always 1: the other half mirrors these."""
    ways = np.arange(2 ** (runs - 1))[:, None]
    return np.where(ways >> np.arange(runs)[::-1] & 1, -1.0, 1.0)
