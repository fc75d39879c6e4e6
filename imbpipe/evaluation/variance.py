"""The variance of a mean over splits, seeds and test images, built from what each of the three adds.

Images: from how far each one pulls the value (jackknife), as covariances between runs, so that an image
that several runs or splits test counts once. Seeds: from the scatter of a split's runs. Splits: from what
the splits' means scatter beyond both, enlarged for training parts that overlap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.trial import Trial

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """One split. mean: (g,). seeds: (g,) variance of the mean as its runs scatter, 0 where there is one.
    common: (g,) variance that all runs share because they are tested on the same images.
    pull: (n, g) each image's, averaged over the runs. overlap: test by training images."""

    mean: Values
    seeds: Values
    common: Values
    runs: int
    pull: Values
    images: NDArray[np.int64]
    overlap: float

    @classmethod
    def of(cls, values: Values, pulls: Values, trial: Trial) -> "Part":
        runs = len(values)
        pull = pulls.mean(axis=0)
        common = (pull**2).sum(axis=0)
        seeds = np.zeros(common.shape)
        if runs > 1:
            own = (pulls**2).sum(axis=1).mean(axis=0)
            common = np.maximum((runs * common - own) / (runs - 1), 0)
            seeds = values.var(axis=0, ddof=1) / runs
        overlap = len(trial.images) / trial.train_images if trial.train_images else 0.0
        return cls(values.mean(axis=0), seeds, common, runs, pull, trial.images, overlap)


def variance_of_mean(parts: list[Part]) -> tuple[Values, Values]:
    """(g,) of the mean over splits, and its degrees of freedom."""
    splits = len(parts)
    seeds = np.mean([part.seeds for part in parts], axis=0) / splits
    within = np.mean([part.seeds + part.common for part in parts], axis=0)
    pull, between = _shared(parts)
    images = np.mean([part.common for part in parts], axis=0) / splits + between * (splits - 1) / splits
    terms: list[tuple[Values, Values | int]] = [
        (seeds, sum(part.runs - 1 for part in parts)),
        (images, _freedom(pull)),
    ]
    if splits > 1:
        scatter = np.var([part.mean for part in parts], axis=0, ddof=1)
        beyond = np.maximum(scatter - within + between, 0)
        enlarged = 1 / splits + np.mean([part.overlap for part in parts])
        terms.append((enlarged * beyond, splits - 1))
    variance = np.sum([term for term, _ in terms], axis=0)
    spread = np.sum([term**2 / np.maximum(freedom, 1) for term, freedom in terms], axis=0)
    return variance, np.divide(variance**2, spread, out=np.full(variance.shape, np.nan), where=spread > 0)


def _shared(parts: list[Part]) -> tuple[Values, Values]:
    """(images, g) pulls summed over the splits; (g,) the mean covariance of two splits' image noise."""
    splits = len(parts)
    numbers, place = np.unique(np.concatenate([part.images for part in parts]), return_inverse=True)
    total = np.zeros((len(numbers), parts[0].pull.shape[1]))
    np.add.at(total, place, np.concatenate([part.pull for part in parts]))
    if splits == 1:
        return total, np.zeros(total.shape[1])
    own = np.sum([(part.pull**2).sum(axis=0) for part in parts], axis=0)
    return total, np.maximum(((total**2).sum(axis=0) - own) / (splits * (splits - 1)), 0)


def _freedom(pull: Values) -> Values:
    """(g,) degrees of freedom of a sum of squares (n, g): few where a few images bear most of it."""
    second, fourth = (pull**2).sum(axis=0), (pull**4).sum(axis=0)
    share = np.divide(fourth, second**2, out=np.ones(second.shape), where=second > 0) - 1 / len(pull)
    return 2 / np.maximum(share, 1e-12)
