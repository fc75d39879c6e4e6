"""Whether features still are those of the images and labels they were made of."""

from pathlib import Path

import numpy as np

from imbpipe.cache.layout import Folder, extract_command
from imbpipe.cache.plan import NO_FILE, digest_of, read_plan, stamp_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError
from imbpipe.types import FeatureSet


def check_fresh(root: Path, dataset: Dataset, features: FeatureSet) -> None:
    """Compare `dataset` with what the features were made of.

    An image whose size or mtime changed is read and compared by its bytes; one that is not on this
    machine is taken for unchanged.
    Raises StoreError: images without features, changed images, changed labels (count and first name).
    """
    remedy = extract_command(dataset.name, features.encoder, features.spec)
    row_of = {name: row for row, name in enumerate(features.ids)}
    without = [name for name in dataset.ids if name not in row_of and name not in features.quarantined]
    if without:
        raise StoreError(
            f"{len(without)} images of {dataset.name!r} have no features (first {without[0]!r})", remedy
        )
    changed = _changed(Folder.of(root, features.dataset, features.encoder, features.spec), dataset)
    if changed:
        raise StoreError(
            f"{len(changed)} images of {dataset.name!r} changed since then (first {changed[0]!r})",
            remedy,
        )
    _check_labels(dataset, features, row_of, remedy)


def _changed(folder: Folder, dataset: Dataset) -> list[str]:
    plan = read_plan(folder.plan)
    place_of = {} if plan is None else {name: place for place, name in enumerate(plan.ids)}
    changed = []
    for name, image in zip(dataset.ids, dataset.images, strict=True):
        stamp = stamp_of(image)
        place = place_of.get(name)
        if plan is None or place is None or stamp == NO_FILE or stamp == tuple(plan.stamps[place].tolist()):
            continue
        digest = digest_of(image)
        if digest is not None and digest != plan.digests[place].tobytes():
            changed.append(name)
    return changed


def _check_labels(dataset: Dataset, features: FeatureSet, row_of: dict[str, int], remedy: str) -> None:
    if tuple(dataset.class_names) != features.class_names:
        raise StoreError(f"the classes of {dataset.name!r} changed since its features were packed", remedy)
    rows = [place for place, name in enumerate(dataset.ids) if name in row_of]
    copies = features.labels[[row_of[dataset.ids[place]] for place in rows]]
    differ = np.flatnonzero((np.asarray(dataset.labels, dtype=bool)[rows] != copies).any(axis=1))
    if len(differ):
        first = dataset.ids[rows[differ[0]]]
        raise StoreError(
            f"the labels of {len(differ)} images of {dataset.name!r} changed since its features were packed "
            f"(first {first!r})",
            f"{remedy} (nothing is encoded again)",
        )
