"""What a folder holds of what it has to hold."""

import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.journals import Journals, read_journals
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import Quarantined, StorePlan, read_plan
from imbpipe.cache.spec import Spec
from imbpipe.errors import StoreError

MISSING, PACKED, QUARANTINED = -1, -2, -3


@dataclass(frozen=True, eq=False)
class Inventory:
    """For each of the plan's n images, where its row is.

    where: (n,) a row number of the journals, PACKED, QUARANTINED or MISSING.
    digests: (n, 16) of the image behind each stored row.
    quarantined: id -> {"path", "reason", "sha256"}.
    """

    plan: StorePlan
    journals: Journals
    where: NDArray[np.int64]
    digests: NDArray[np.uint8]
    quarantined: Quarantined

    @property
    def done(self) -> int:
        """Images whose features are stored."""
        return int(((self.where >= 0) | (self.where == PACKED)).sum())

    @property
    def missing(self) -> NDArray[np.int64]:
        """Row numbers of the images still to be encoded."""
        return np.flatnonzero(self.where == MISSING)


def take_stock(plan: StorePlan, journals: Journals, place: NDArray[np.int64] | None = None) -> Inventory:
    """Match rows with images by (id, digest), or by (id, stamp) where the digest is not known yet.

    place: of each row the image with its id, where that was worked out already.
    """
    rows = journals.rows
    heads = rows.heads
    place = rows.places(plan.hashed_ids) if place is None else place
    same_bytes = (heads["digest"] == plan.digests[place]).all(axis=1)
    same_stamp = (heads["stamp"] == plan.stamps[place]).all(axis=1)
    usable = np.flatnonzero((place >= 0) & np.where(plan.known[place], same_bytes, same_stamp))[::-1]
    where = np.full(len(plan), MISSING, dtype=np.int64)
    where[place[usable]] = usable
    where[plan.packed] = PACKED
    digests = plan.digests.copy()
    digests[where >= 0] = heads["digest"][where[where >= 0]]
    quarantined = _quarantined(plan, journals, where)
    where[[plan.place[name] for name in quarantined]] = QUARANTINED
    return Inventory(plan, journals, where, digests, quarantined)


def _quarantined(plan: StorePlan, journals: Journals, where: NDArray[np.int64]) -> Quarantined:
    """In the order of the rows, so that it is the same whichever worker came first."""
    found = dict(plan.quarantined)
    for entry in journals.refused:
        row = plan.place.get(entry["id"])
        if row is not None and plan.stamps[row].tolist() == entry["stamp"]:
            found[entry["id"]] = {name: entry[name] for name in ("path", "reason", "sha256")}
    return {name: found[name] for name in plan.ids if name in found and where[plan.place[name]] == MISSING}


def stored_inventory(folder: Folder, spec: Spec, *, payloads: bool = False) -> Inventory | None:
    """What the folder holds; None where there is no readable plan.

    payloads: check the CRC of every payload, not of headers alone.
    Needs no lock: it looks again where a packing process came in between.
    Raises StoreError: a journal is of another spec, or the folder never stands still.
    """
    for _ in range(100):
        before = _version(folder)
        plan = current_plan(folder)
        try:
            journals = read_journals(folder, spec, payloads=payloads)
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            continue
        if _version(folder) == before:
            return None if plan is None else take_stock(plan, journals)
    raise StoreError(f"{folder.path} changes all the time", "Try again when nothing writes to it")


def _version(folder: Folder) -> tuple[int, int] | None:
    try:
        found = os.stat(folder.plan)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def current_plan(folder: Folder) -> StorePlan | None:
    """PLAN.json, nothing packed where features.h5 is gone; None where it is missing or damaged."""
    plan = read_plan(folder.plan)
    if plan is None or folder.features.exists():
        return plan
    return replace(plan, packed=np.zeros(len(plan), dtype=bool), published="")
