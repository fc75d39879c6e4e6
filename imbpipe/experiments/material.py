"""Features joined with the labels as they are today."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from imbpipe.cache.stored import StoredFeatures, check_finite, select
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import ResultsError, StoreError
from imbpipe.types import Features, FeatureSet, FeatureSource


@dataclass(frozen=True, eq=False)
class Material:
    """What heads are trained on: row i of `features` belongs to image i of `dataset`.

    features: (n, d), in memory or in the file. dataset: n images that have features. source: the set the
    features came from. left_out: ids of images that could not be read when they were encoded.

    Raises StoreError: a feature is not finite.
    """

    features: FeatureSource
    dataset: Dataset
    source: FeatureSet
    left_out: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.features, np.ndarray):  # stored ones were checked when they were opened
            check_finite(self.features, self.dataset.ids)

    @property
    def stored(self) -> StoredFeatures | None:
        """The features, where they stay in the file."""
        return self.features if isinstance(self.features, StoredFeatures) else None

    @property
    def text(self) -> Features | None:
        """(c, d) text features of the data set's classes; None where there are none of these classes."""
        return self.source.text if self.source.class_names == self.dataset.class_names else None


def gather(dataset: Dataset, source: FeatureSet) -> Material:
    """Join by id; images set aside at extraction are left out.

    Raises StoreError: an image of the data set has no features; ResultsError: none has.
    """
    row_of = {id_: row for row, id_ in enumerate(source.ids)}
    missing = [id_ for id_ in dataset.ids if id_ not in row_of and id_ not in source.quarantined]
    if missing:
        raise StoreError(
            f"{len(missing)} of {len(dataset)} images of {dataset.name!r} have no features by "
            f"{source.encoder!r} (first: {missing[0]})",
            f"Run: imbpipe extract --dataset {source.dataset} --encoder {source.encoder}",
        )
    keep = np.array([id_ in row_of for id_ in dataset.ids])
    if not keep.any():
        raise ResultsError(f"no image of {dataset.name!r} could be read when it was encoded")
    rows = np.array([row_of[id_] for id_ in dataset.ids if id_ in row_of])
    in_order = len(rows) == len(source.ids) and np.array_equal(rows, np.arange(len(rows)))
    features = source.features if in_order else select(source.features, rows)
    left_out = tuple(id_ for id_, kept in zip(dataset.ids, keep, strict=True) if not kept)
    return Material(features, _subset(dataset, keep), source, left_out)


def _subset(dataset: Dataset, keep: np.ndarray) -> Dataset:
    if keep.all():
        return dataset
    return replace(
        dataset,
        ids=tuple(np.array(dataset.ids, dtype=object)[keep]),
        images=tuple(image for image, kept in zip(dataset.images, keep, strict=True) if kept),
        labels=dataset.labels[keep],
        official=None if dataset.official is None else dataset.official[keep],
        groups=tuple(itertools.compress(dataset.groups, keep)),
    )
