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
    part = _deal(positives, sizes, _quotas(positives.sum(axis=0), must, fractions), fractions, rng)
    _mend(part, positives, must)
    return part


def _must_reach(units: Counts, fractions: tuple[float, ...]) -> NDArray[np.bool_]:
    """(c, 3): the parts in which a class with so many units has to be."""
    must = np.zeros((len(units), len(fractions)), bool)
    wanted = [part for part in PRIORITY if fractions[part] > 0]
    for place, part in enumerate(wanted):
        must[:, part] = units > place
    return must


def _quotas(counts: Counts, must: NDArray[np.bool_], fractions: tuple[float, ...]) -> Counts:
    """(c, 3) whole positives a part: within 1 of the exact share, at least 1 where a class must be.

    What rounding takes from a part in one class it gives back in the next.
    """
    quotas = np.zeros(must.shape, np.int64)
    owed = np.zeros(len(fractions))
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
    order = _order(positives, sizes, rng)
    size, coin = sizes.tolist(), rng.random((len(sizes), len(fractions))).tolist()
    classes = _classes_of_units(positives)
    parts = [p for p, fraction in enumerate(fractions) if fraction > 0]
    room = [fraction * float(sizes.sum()) for fraction in fractions]
    lacking, left = quotas.tolist(), positives.sum(axis=0).tolist()
    dealt = [-1] * len(size)

    def deal(units: list[int], want: list[float]) -> None:
        for unit in units:
            if dealt[unit] < 0:
                toss = coin[unit]
                part = dealt[unit] = max(
                    parts, key=lambda p: (want[p] / fractions[p], room[p] / fractions[p], toss[p])
                )
                room[part] -= size[unit]
                for c, count in classes[unit]:
                    lacking[c][part] -= count
                    left[c] -= count

    while any(left):
        rarest = min((c for c, count in enumerate(left) if count), key=left.__getitem__)
        deal(order[positives[order, rarest] > 0].tolist(), lacking[rarest])
    deal(order.tolist(), room)
    return np.array(dealt, np.int8)


def _order(positives: Counts, sizes: Rows, rng: Generator) -> Rows:
    """Large units first, then at random, but equal units in a row: dealt in turn they spread evenly."""
    of_set = (positives > 0) @ rng.integers(2**62, size=positives.shape[1])
    return np.lexsort((rng.random(len(sizes)), of_set, -sizes))


def _classes_of_units(positives: Counts) -> list[list[tuple[int, int]]]:
    """Of each unit: its classes, and its positives of each."""
    units, classes = np.nonzero(positives)
    pairs = list(zip(classes.tolist(), positives[units, classes].tolist(), strict=True))
    ends = np.cumsum(np.bincount(units, minlength=len(positives))).tolist()
    return [pairs[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _mend(part: NDArray[np.int8], positives: Counts, must: NDArray[np.bool_]) -> None:
    """Move single units until no move lets more classes reach the parts that they have to."""
    holds = positives > 0
    have = np.stack([holds[part == p].sum(axis=0) for p in range(must.shape[1])], axis=1)
    while (missing := np.argwhere(must & (have == 0))).size:
        for c, target in missing:
            units = np.flatnonzero(holds[:, c])
            gained = holds[units] @ (must & (have == 0))[:, target].astype(int)
            lost = np.array([(holds[u] & must[:, part[u]] & (have[:, part[u]] == 1)).sum() for u in units])
            best = np.lexsort((holds[units].sum(axis=1), lost - gained))[0]
            if gained[best] > lost[best]:
                unit = units[best]
                have[:, part[unit]] -= holds[unit]
                have[:, target] += holds[unit]
                part[unit] = target
                break
        else:
            return
