"""Dealing units out to parts so that every class keeps its share in each."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.dataset import TEST, TRAIN, VALIDATION
from imbpipe.types import Rows

Counts = NDArray[np.int64]

PRIORITY = (TRAIN, TEST, VALIDATION)
"""Which part a class reaches first when it has too few units for all."""


def stratify(
    positives: Counts, sizes: Rows, fractions: tuple[float, float, float], rng: Generator
) -> NDArray[np.int8]:
    """Deal u units to parts: the rarest class first, each unit to the part that lacks most of it.

    positives: (u, c) rows of each unit in which a class is positive; a unit is one row, or a group of
        rows that stay together.
    sizes: (u,) rows of each unit. fractions: of train, validation and test; they sum to 1.
    Returns (u,) TRAIN, VALIDATION or TEST. Each class keeps a unit in each part where it has three, in
    train and test where it has two, in train where it has one, as far as classes that share units allow.

    Source: Sechidis, Tsoumakas & Vlahavas (2011), "On the Stratification of Multi-Label Data",
    algorithm 1; here desired counts are whole numbers, "most" is relative to the part's fraction, rows
    with the same labels are dealt in turn, and a last pass mends the rarest classes.
    """
    must = _must_reach((positives > 0).sum(axis=0), fractions)
    quotas = _quotas(positives.sum(axis=0), must, fractions, rng)
    part = _deal(positives, sizes, quotas, fractions, rng)
    _mend(part, positives, sizes, must)
    return part


def _must_reach(units: Counts, fractions: tuple[float, ...]) -> NDArray[np.bool_]:
    """(c, 3): the parts in which a class with so many units has to be."""
    must = np.zeros((len(units), len(fractions)), bool)
    wanted = [part for part in PRIORITY if fractions[part] > 0]
    for place, part in enumerate(wanted):
        must[:, part] = units > place
    return must


def _quotas(counts: Counts, must: NDArray[np.bool_], fractions: tuple[float, ...], rng: Generator) -> Counts:
    """(c, 3) whole positives a part: within 1 of the exact share, at least 1 where a class must be.

    What rounding takes from a part in one class it gives back in the next; chance decides where it starts.
    """
    quotas = np.zeros(must.shape, np.int64)
    owed = rng.random(len(fractions))
    for c in np.argsort(counts, kind="stable"):
        exact = counts[c] * np.array(fractions)
        quota = np.maximum(np.floor(exact + 1e-9).astype(np.int64), must[c])
        while (left := counts[c] - quota.sum()) != 0:
            if left > 0:
                quota[np.argmax(np.where(exact > quota + 1e-9, exact - quota + owed, -np.inf))] += 1
            else:
                quota[np.argmin(np.where(quota > must[c], exact - quota, np.inf))] -= 1
        quotas[c] = quota
        owed += exact - quota
    return quotas


def _deal(
    positives: Counts, sizes: Rows, quotas: Counts, fractions: tuple[float, ...], rng: Generator
) -> NDArray[np.int8]:
    """(u,) parts. In plain Python, because three parts are too few for NumPy to pay."""
    turn = _turns(positives, rng)
    size, coin = sizes.tolist(), rng.random((len(sizes), len(fractions))).tolist()
    classes = _classes_of_units(positives)
    parts = [p for p, fraction in enumerate(fractions) if fraction > 0]
    room = [fraction * float(sizes.sum()) for fraction in fractions]
    lacking, left = quotas.tolist(), positives.sum(axis=0).tolist()
    dealt = np.full(len(size), -1, np.int8)

    def deal(units: Rows, want: list[float]) -> None:
        units = np.roll(units, rng.integers(len(units)))
        units = units[np.argsort(-sizes[units], kind="stable")]
        chosen = []
        for unit in units.tolist():
            toss = coin[unit]
            part = max(parts, key=lambda p: (want[p] / fractions[p], room[p] / fractions[p], toss[p]))
            chosen.append(part)
            room[part] -= size[unit]
            for c, count in classes[unit]:
                lacking[c][part] -= count
                left[c] -= count
        dealt[units] = chosen

    while any(left):
        rarest = min((c for c, count in enumerate(left) if count), key=left.__getitem__)
        deal(turn[(positives[turn, rarest] > 0) & (dealt[turn] < 0)], lacking[rarest])
    if (dealt < 0).any():
        deal(turn[dealt[turn] < 0], room)
    return dealt


def _turns(positives: Counts, rng: Generator) -> Rows:
    """Units at random, but those of equal label sets in a row: dealt in turn they spread evenly."""
    of_set = (positives > 0) @ rng.integers(2**32, size=positives.shape[1])
    return np.lexsort((rng.random(len(positives)), of_set))


def _classes_of_units(positives: Counts) -> list[list[tuple[int, int]]]:
    """Of each unit: its classes, and its positives of each."""
    units, classes = np.nonzero(positives)
    pairs = list(zip(classes.tolist(), positives[units, classes].tolist(), strict=True))
    ends = np.cumsum(np.bincount(units, minlength=len(positives))).tolist()
    return [pairs[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _mend(part: NDArray[np.int8], positives: Counts, sizes: Rows, must: NDArray[np.bool_]) -> None:
    """Swap units, or move one, until no swap or move brings a class to more of the parts it has to reach."""
    holds = (positives > 0).astype(np.int64)
    have = np.stack([holds[part == p].sum(axis=0) for p in range(must.shape[1])], axis=1)
    while (swap := _best_swap(part, holds, sizes, must, have)) is not None:
        unit, partner, target = swap
        source = part[unit]
        moved = holds[unit] - (holds[partner] if partner >= 0 else 0)
        have[:, source] -= moved
        have[:, target] += moved
        part[unit] = target
        if partner >= 0:
            part[partner] = source


def _best_swap(
    part: NDArray[np.int8], holds: Counts, sizes: Rows, must: NDArray[np.bool_], have: Counts
) -> tuple[int, int, int] | None:
    """A unit whose class lacks a part, its partner there (-1: none), that part; None: nothing helps."""
    lacks = must & (have == 0)
    for c, target in np.argwhere(lacks):
        partners = np.append(np.flatnonzero(part == target), -1)
        for unit in np.flatnonzero(holds[:, c]):
            source = part[unit]
            moved = holds[unit] - np.where(partners[:, None] >= 0, holds[partners], 0)
            still = (must[:, source] & (have[:, source] == moved)).sum(axis=1)
            still += (must[:, target] & (have[:, target] == -moved)).sum(axis=1)
            uneven = abs(sizes[unit] - np.where(partners >= 0, sizes[partners], 0))
            best = np.lexsort((abs(moved).sum(axis=1), uneven, still))[0]
            if still[best] < lacks[:, [source, target]].sum():
                return int(unit), int(partners[best]), int(target)
    return None
