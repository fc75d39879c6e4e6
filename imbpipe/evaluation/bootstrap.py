"""Splits, seeds and images drawn anew, one within the other."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.evaluation.differences import measure
from imbpipe.evaluation.trial import Trial


def hierarchical_bootstrap(
    trials: Sequence[Trial], metric: str, classes: NDArray[np.bool_], rng: Generator, *, draws: int = 2_000
) -> NDArray[np.float64]:
    """(draws, ...) differences as `effect` estimates them, of splits, seeds and images drawn anew.

    trials, metric, classes: as for `effect`. An image that several splits test is drawn for all of them
    alike. A draw of images changes a value by the sum of their pulls, so that all draws are one matrix
    product. Percentiles of few seeds or splits are too narrow: `effect` is what answers with intervals.
    Raises: as `measure`.

    Source: Davison & Hinkley (1997), section 3.8.
    """
    masks = np.asarray(classes)
    measured = measure(trials, metric, masks.reshape(-1, masks.shape[-1]))
    numbers = np.unique(np.concatenate([split.images for split in measured.splits]))
    times = rng.poisson(1.0, (draws, len(numbers))) - 1.0
    splits = rng.multinomial(len(trials), np.full(len(trials), 1 / len(trials)), draws)
    total = np.zeros((draws, len(measured.classes)))
    for split, drawn in zip(measured.splits, splits.T, strict=True):
        runs, images, groups = split.pulls.shape
        columns = split.pulls.transpose(1, 0, 2).reshape(images, runs * groups)
        moved = times[:, np.searchsorted(numbers, split.images)] @ columns
        seeds = rng.multinomial(runs, np.full(runs, 1 / runs), draws) / runs
        values = split.values + moved.reshape(draws, runs, groups)
        total += drawn[:, None] * np.einsum("dr,drg->dg", seeds, values)
    found = np.where(measured.classes > 0, total / len(trials), np.nan)
    return found.reshape(draws, *masks.shape[:-1])
