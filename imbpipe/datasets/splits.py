"""Which rows to train on, to choose on, and to report on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.dataset import TEST, TRAIN, VALIDATION, Dataset
from imbpipe.datasets.stratify import stratify
from imbpipe.errors import DatasetError, UsageError
from imbpipe.types import Rows

Kind = Literal["stratified", "official", "random", "no-test"]
NO_TEST = "no-test"
Fractions = tuple[float, float, float]
Parts = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Split:
    """Three sets of row numbers, ascending, that together hold every row once.

    Only a split without test images says otherwise: its validation and test rows are the same.
    name: kind, fractions and seed.
    """

    name: str
    train: Rows
    validation: Rows
    test: Rows


def make_split(
    dataset: Dataset,
    seed: int,
    *,
    kind: str = "stratified",
    fractions: Fractions = (0.6, 0.2, 0.2),
) -> Split:
    """Divide a data set into training, validation and test rows; the same seed gives the same division.

    Images of one group stay on one side, but for the owner's own division, which is taken as it is.

    kind: "stratified" keeps each class's share in each part, and its positives in each part as far as
        its count allows; "random" is a plain shuffle; "official" is the owner's division. An owner who
        publishes two parts reports on the second: it becomes the test part, and validation is cut
        from the training rows, stratified and by seed, in the proportion of `fractions` (a quarter).
        "no-test" is the mistake of the paper's code, kept to see what it does: the validation rows are
        trained on as well, and whatever is chosen is chosen on the test rows; with the owner's division
        where there is one.
    fractions: of train, validation and test; they sum to 1.

    Raises UsageError: a kind, seed or fractions that cannot be meant. DatasetError: no official
    division, too few rows or groups, or no class with a positive in both train and test.
    Source: stratify.py; 60-20-20 from Panigrahi & Zhu (2023), section 4.
    """
    if kind not in _KINDS:
        raise UsageError(f"no split named {kind!r}", f"Known: {', '.join(_KINDS)}")
    if seed < 0:
        raise UsageError(f"a split with seed {seed}", "Seeds start at 0")
    if min(fractions) < 0 or fractions[TRAIN] == 0 or abs(sum(fractions) - 1) > 1e-9:
        raise UsageError(f"fractions {fractions} of a split", "Give three that sum to 1, train above 0")
    if kind == NO_TEST:
        fractions = (fractions[TRAIN] + fractions[VALIDATION], 0.0, fractions[TEST])
    parts = _KINDS[kind](dataset, fractions, dataset.group_numbers(), np.random.default_rng(seed))
    name = f"{kind}-{'-'.join(f'{fraction:.0%}'[:-1] for fraction in fractions)}-seed{seed}"
    split = _checked(dataset, parts, fractions, name)
    if dataset.groups and len(split.test) and len({dataset.groups[row] for row in split.test}) < 2:
        raise DatasetError(
            f"all test images of {dataset.name!r} are of one group, which says nothing of others",
            "Give more and smaller groups",
        )
    return replace(split, validation=split.test) if kind == NO_TEST else split


def _stratified(dataset: Dataset, fractions: Fractions, groups: Rows | None, rng: Generator) -> Parts:
    unit, sizes = _units(len(dataset), groups)
    if groups is None:
        return stratify(dataset.labels.astype(np.int64), sizes, fractions, rng)
    positives = np.zeros((len(sizes), dataset.labels.shape[1]), np.int64)
    np.add.at(positives, unit, dataset.labels)
    return stratify(positives, sizes, fractions, rng)[unit]


def _random(dataset: Dataset, fractions: Fractions, groups: Rows | None, rng: Generator) -> Parts:
    unit, sizes = _units(len(dataset), groups)
    order = rng.permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    parts = np.empty(len(sizes), np.int8)
    parts[order] = np.searchsorted(np.cumsum(fractions)[:2] * len(dataset), middle)
    return parts[unit]


def _official(dataset: Dataset, fractions: Fractions, groups: Rows | None, rng: Generator) -> Parts:
    if dataset.official is None:
        raise DatasetError(
            f"the data set {dataset.name!r} has no official division", "Run with --split stratified"
        )
    parts = dataset.official.copy()
    if not (parts == TEST).any():
        parts[parts == VALIDATION] = TEST
    if not (parts == VALIDATION).any():
        rows = np.flatnonzero(parts == TRAIN)
        quarter = fractions[VALIDATION] / (fractions[TRAIN] + fractions[VALIDATION])
        training = replace(dataset, ids=tuple(dataset.ids[row] for row in rows), labels=dataset.labels[rows])
        kept_together = None if groups is None else groups[rows]
        parts[rows] = _stratified(training, (1 - quarter, quarter, 0.0), kept_together, rng)
    return parts


def _no_test(dataset: Dataset, fractions: Fractions, groups: Rows | None, rng: Generator) -> Parts:
    if dataset.official is not None:
        return np.where(dataset.official == TRAIN, TRAIN, TEST).astype(np.int8)
    return _stratified(dataset, fractions, groups, rng)


_KINDS: dict[str, Callable[[Dataset, Fractions, Rows | None, Generator], Parts]] = {
    "stratified": _stratified,
    "random": _random,
    "official": _official,
    NO_TEST: _no_test,
}


def _units(n: int, groups: Rows | None) -> tuple[Rows, Rows]:
    """(n,) the unit of each row, and (u,) the rows of each unit."""
    if groups is None:
        return np.arange(n), np.ones(n, np.int64)
    _, unit, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return unit, sizes


def _checked(dataset: Dataset, parts: Parts, fractions: Fractions, name: str) -> Split:
    rows = [np.flatnonzero(parts == part) for part in (TRAIN, VALIDATION, TEST)]
    learnable = dataset.labels[rows[TRAIN]].any(axis=0) & dataset.labels[rows[TEST]].any(axis=0)
    if fractions[TEST] > 0 and not learnable.any():
        raise DatasetError(
            f"no class of {dataset.name!r} has a positive image both in train and in test",
            "A class needs at least 2 positive images; add some, or take --split stratified",
        )
    if any(len(part) == 0 and fraction > 0 for part, fraction in zip(rows, fractions, strict=True)):
        sizes = ", ".join(
            f"{len(part)} {label}" for part, label in zip(rows, ("train", "validation", "test"), strict=True)
        )
        raise DatasetError(
            f"{dataset.name!r} is too small for this split: {len(dataset)} rows give {sizes}",
            "Add images, or fewer and smaller groups",
        )
    return Split(name, *rows)
