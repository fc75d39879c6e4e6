"""Bring a folder's plan up to the data set as it is now."""

import contextlib
import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.inventory import Inventory, current_plan, take_stock
from imbpipe.cache.journals import JournalRows, read_journals
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import BATCH_SIZE, StorePlan, write_plan
from imbpipe.cache.spec import Spec
from imbpipe.cache.stamp import DIGEST_BYTES, NO_FILE, digest_of, stamp_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError


def look(dataset: Dataset, encoder: str, batch_size: int = 0) -> StorePlan:
    """The data set as it is now, of which nothing is stored yet: each image is looked at, none is read.

    batch_size: 0 takes that of the plan that a folder has.
    Raises StoreError: a name the store cannot hold.
    """
    _check_names(dataset)
    paths = tuple(os.fspath(path) for path in dataset.images)
    n = len(paths)
    return StorePlan(
        dataset=dataset.name,
        encoder=encoder,
        task=dataset.task,
        class_names=tuple(dataset.class_names),
        batch_size=batch_size,
        ids=tuple(dataset.ids),
        paths=paths,
        labels=np.asarray(dataset.labels, dtype=bool),
        stamps=np.array([stamp_of(path) for path in paths], dtype=np.int64).reshape(n, 2),
        digests=np.zeros((n, DIGEST_BYTES), dtype=np.uint8),
        known=np.zeros(n, dtype=bool),
        packed=np.zeros(n, dtype=bool),
        published="",
        quarantined={},
    )


def refresh(folder: Folder, plan: StorePlan, spec: Spec, *, rehash: bool = False) -> Inventory:
    """Write the spec and the plan, and say what the folder holds of it. Call it under the folder's lock.

    An image with a stored row is read only where its size or mtime changed, or every one with `rehash`;
    one that is not there or cannot be read keeps what was known of it.
    plan: as `look` found it, for which nobody has to wait; what is known is filled in.
    Raises StoreError: the disk is full.
    """
    folder.write_spec(spec)
    old = _old_plan(folder)
    journals = read_journals(folder, spec)
    plan.batch_size = plan.batch_size or (old.batch_size if old else BATCH_SIZE)
    place = journals.rows.places(plan.hashed_ids)
    _fill_in(plan, old, *_journalled(plan, journals.rows, place), rehash=rehash)
    if old is not None and _says_the_same(plan, old):
        plan.published = old.published
    write_plan(folder.plan, plan)
    return take_stock(plan, journals, place)


def _check_names(dataset: Dataset) -> None:
    for name in (dataset.name, *dataset.ids, *dataset.class_names):
        if "\0" in name or not name:
            raise StoreError(f"{name!r} cannot name an image, a class or a data set", "Rename it")
    if not dataset.ids:
        raise StoreError(f"{dataset.name!r} has no images", "Put some there")


def _old_plan(folder: Folder) -> StorePlan | None:
    """The plan so far; made of features.h5 where PLAN.json is lost."""
    plan = current_plan(folder)
    if plan is None and folder.features.exists():
        from imbpipe.cache.reader import plan_of_file

        with contextlib.suppress(StoreError):
            plan = plan_of_file(folder.features)
    return plan


def _fill_in(
    plan: StorePlan,
    old: StorePlan | None,
    journalled: NDArray[np.bool_],
    same_as_row: NDArray[np.bool_],
    *,
    rehash: bool,
) -> None:
    """Fill in what is known of the images, reading those that may have changed.

    journalled, same_as_row: (n,) whether a journal holds a row of the image, and one with its stamp.
    """
    if old is None:
        old = replace(_nothing(plan), ids=())
    before = np.array([old.place.get(name, -1) for name in plan.ids], dtype=np.int64)
    known_before = before >= 0
    there = (plan.stamps != NO_FILE).any(axis=1)
    unchanged = known_before & (old.stamps[before] == plan.stamps).all(axis=1)
    has_row = journalled | (known_before & old.packed[before])
    doubtful = has_row & there & (rehash | ~(unchanged | same_as_row))
    digests, known = plan.digests, plan.known
    unreadable = np.zeros(len(plan), dtype=bool)
    for row in np.flatnonzero(doubtful):
        digest = digest_of(plan.paths[row])
        if digest is None:
            unreadable[row] = True
        else:
            digests[row], known[row] = np.frombuffer(digest, np.uint8), True
    kept = known_before & (unchanged | ~there | unreadable) & ~known
    plan.stamps[kept] = old.stamps[before[kept]]
    same = known & known_before & old.known[before] & (old.digests[before] == digests).all(axis=1)
    digests[kept], known[kept] = old.digests[before[kept]], old.known[before[kept]]
    plan.packed[:] = (kept | same) & old.packed[before]
    still = {plan.ids[row] for row in np.flatnonzero(kept)} & old.quarantined.keys()
    plan.quarantined = {name: old.quarantined[name] for name in plan.ids if name in still}


def _nothing(plan: StorePlan) -> StorePlan:
    """A plan of one row that no row of `plan` is: what an index of -1 then picks is never used."""
    one = slice(0, 1)
    return replace(
        plan,
        stamps=plan.stamps[one].copy(),
        digests=plan.digests[one].copy(),
        known=plan.known[one].copy(),
        packed=plan.packed[one].copy(),
    )


def _journalled(
    plan: StorePlan, rows: JournalRows, place: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    found, same = np.zeros(len(plan), dtype=bool), np.zeros(len(plan), dtype=bool)
    found[place[place >= 0]] = True
    same[place[(place >= 0) & (rows.heads["stamp"] == plan.stamps[place]).all(axis=1)]] = True
    return found, same


def _says_the_same(plan: StorePlan, old: StorePlan) -> bool:
    """Whether a features.h5 that holds what `old` says would be no other for `plan`."""
    return (
        (plan.dataset, plan.encoder, plan.task, plan.class_names, plan.ids)
        == (old.dataset, old.encoder, old.task, old.class_names, old.ids)
        and plan.quarantined == old.quarantined
        and np.array_equal(plan.labels, old.labels)
        and np.array_equal(plan.packed, old.packed)
    )
