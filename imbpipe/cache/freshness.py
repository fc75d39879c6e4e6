"""Whether features still are those of the images and labels they were made of."""

from pathlib import Path

import numpy as np

from imbpipe.cache.inventory import MISSING, stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import StorePlan, read_plan
from imbpipe.cache.spec import extract_command, weights_kind
from imbpipe.cache.stamp import NO_FILE, digest_of, stamp_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError
from imbpipe.types import FeatureSet


def check_fresh(root: Path, dataset: Dataset, features: FeatureSet) -> None:
    """Compare `dataset` with what the features were made of.

    An image whose size or mtime changed is read and compared by its bytes; one that is not on this
    machine is taken for unchanged.
    Raises StoreError: images without features, changed images, changed labels (count and first name).
    """
    remedy = extract_command(root, dataset.name, features.encoder, features.spec)
    row_of = {name: row for row, name in enumerate(features.ids)}
    without = [name for name in dataset.ids if name not in row_of and name not in features.quarantined]
    if without:
        raise StoreError(
            f"{len(without)} images of {dataset.name!r} have no features (first {without[0]!r})", remedy
        )
    changed = _changed(_plan(root, features), dataset)
    if changed:
        raise StoreError(f"{len(changed)} images of {dataset.name!r} changed (first {changed[0]!r})", remedy)
    _check_labels(dataset, features, row_of, f"{remedy} (only labels are written anew)")


def pending(root: Path, dataset: Dataset, encoder: str, *, weights: str = "", dtype: str = "") -> int:
    """How many of the images would be encoded next time: new, changed, or not done yet.

    weights, dtype: of the features meant ("random", "float16"); empty: any but random weights, any dtype.
    An image that is not on this machine is taken for unchanged. Nothing is written.
    """
    counts = [len(dataset)]
    for folder in Folder.known(root, dataset.name, encoder):
        try:
            spec = folder.read_spec()
            stock = stored_inventory(folder, spec)
        except StoreError:
            continue  # damaged: all would be encoded again
        kind = weights_kind(spec)
        fits = (kind == weights if weights else kind != "random") and dtype in ("", spec["dtype"])
        if fits and stock is not None:
            plan, changed = stock.plan, set(_changed(stock.plan, dataset))
            there = {plan.ids[row] for row in np.flatnonzero(stock.where != MISSING)}
            counts.append(sum(name not in there or name in changed for name in dataset.ids))
    return min(counts)


def _plan(root: Path, features: FeatureSet) -> StorePlan:
    """The plan that `features` were published under; else one that makes every image be read."""
    folder = Folder.of(root, features.dataset, features.encoder, features.spec)
    plan = read_plan(folder.plan)
    if plan is not None and plan.published == features.digest:
        return plan
    from imbpipe.cache.reader import plan_of_file

    return plan_of_file(folder.features)


def _changed(plan: StorePlan, dataset: Dataset) -> list[str]:
    stamps = [tuple(stamp) for stamp in plan.stamps.tolist()]
    changed = []
    for name, image in zip(dataset.ids, dataset.images, strict=True):
        stamp, row = stamp_of(image), plan.place.get(name)
        if stamp == NO_FILE or row is None:
            continue
        if stamp != stamps[row] and digest_of(image) != plan.digests[row].tobytes():
            changed.append(name)
    return changed


def _check_labels(dataset: Dataset, features: FeatureSet, row_of: dict[str, int], remedy: str) -> None:
    if tuple(dataset.class_names) != features.class_names:
        raise StoreError(f"the classes of {dataset.name!r} are not those in its features", remedy)
    places = [place for place, name in enumerate(dataset.ids) if name in row_of]
    copies = features.labels[[row_of[dataset.ids[place]] for place in places]]
    differ = np.flatnonzero((np.asarray(dataset.labels, dtype=bool)[places] != copies).any(axis=1))
    if len(differ):
        first = dataset.ids[places[differ[0]]]
        raise StoreError(
            f"the labels of {len(differ)} images changed since extraction (first {first!r})", remedy
        )
