"""The variance of a mean over splits, seeds and test images.

Images: from how far each one pulls the value (jackknife), as covariances between runs, so that an image
that several runs or splits test counts once. Seeds: from the scatter of a split's runs. Splits: from the
scatter of their means.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.differences import Differences

Values = NDArray[np.float64]

Variance = tuple[Values, Values]
"""(g,) of a mean over splits, and (g,) its degrees of freedom, NaN where it is 0."""


def of_images_and_seeds(splits: Sequence[Differences]) -> Variance:
    """Other test images and other seeds, the training parts being what they are.

    Source: Obuchowski & Rockette (1995), where readers stand for seeds and patients for images; Satterthwaite
    (1946) for the degrees of freedom.
    """
    pulls, between = _shared_images(splits)
    count = len(splits)
    images = np.mean([_common(split) for split in splits], axis=0) / count + between * (count - 1) / count
    seeds = np.mean([_seeds(split) for split in splits], axis=0) / count
    variance = seeds + images
    repeats = max(sum(len(split.values) - 1 for split in splits), 1)
    spread = seeds**2 / repeats + images**2 / _freedom(pulls)
    return variance, np.divide(variance**2, spread, out=np.full(variance.shape, np.nan), where=spread > 0)


def of_splits(splits: Sequence[Differences]) -> Variance:
    """Other splits, as the means of these scatter, enlarged for the images that they share.

    Source: Nadeau & Bengio (2003), the corrected resampled t.
    """
    scatter = np.var([split.values.mean(axis=0) for split in splits], axis=0, ddof=1)
    enlarged = 1 / len(splits) + np.mean([split.overlap for split in splits])
    return enlarged * scatter, np.where(scatter > 0, len(splits) - 1.0, np.nan)


def _seeds(split: Differences) -> Values:
    """(g,) variance of a split's mean as its runs scatter; 0 where there is one run only."""
    runs = len(split.values)
    return split.values.var(axis=0, ddof=1) / runs if runs > 1 else np.zeros(split.values.shape[1])


def _common(split: Differences) -> Values:
    """(g,) variance that a split's runs share because they are tested on the same images."""
    runs = len(split.values)
    together = (split.pulls.mean(axis=0) ** 2).sum(axis=0)
    if runs == 1:
        return together
    each = (split.pulls**2).sum(axis=1).mean(axis=0)
    return np.maximum((runs * together - each) / (runs - 1), 0)


def _shared_images(splits: Sequence[Differences]) -> tuple[Values, Values]:
    """(images, g) pulls summed over the splits; (g,) the mean covariance of two splits by common images."""
    pulls = [split.pulls.mean(axis=0) for split in splits]
    numbers, place = np.unique(np.concatenate([split.images for split in splits]), return_inverse=True)
    total = np.zeros((len(numbers), pulls[0].shape[1]))
    np.add.at(total, place, np.concatenate(pulls))
    own = np.sum([(pull**2).sum(axis=0) for pull in pulls], axis=0)
    pairs = max(len(splits) * (len(splits) - 1), 1)
    return total, np.maximum(((total**2).sum(axis=0) - own) / pairs, 0)


def _freedom(pulls: Values) -> Values:
    """(g,) degrees of freedom of a sum of squares (n, g): few where a few images bear most of it."""
    squares = pulls**2
    second, fourth = squares.sum(axis=0), (squares**2).sum(axis=0)
    share = np.divide(fourth, second**2, out=np.ones(second.shape), where=second > 0) - 1 / len(pulls)
    return 2 / np.maximum(share, 1e-12)
