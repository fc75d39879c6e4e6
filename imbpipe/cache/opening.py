"""Bring a folder's plan up to the data set, and hand a worker what is left to do."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.cache import disk
from imbpipe.cache.layout import Folder, check_spec, key_of
from imbpipe.cache.plan import BATCH_SIZE, StorePlan, make_plan, plan_fields, read_plan, write_plan
from imbpipe.cache.sources import MISSING, QUARANTINED, Journals, Sources, find_sources, read_journals
from imbpipe.cache.writer import Worker, Writer, session_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError


@dataclass(frozen=True, eq=False)
class Inventory:
    """What a folder has to hold, and what it holds."""

    plan: StorePlan
    journals: Journals
    sources: Sources


def journal_key(spec: Mapping[str, Any]) -> bytes:
    """The eight bytes of the key that every record carries."""
    return bytes.fromhex(key_of(spec))[:8]


def row_bytes(spec: Mapping[str, Any]) -> int:
    """Bytes of a row's features."""
    return int(spec["dim"]) * np.dtype(spec["dtype"]).itemsize


def take_stock(folder: Folder, spec: Mapping[str, Any], *, payloads: bool = True) -> Inventory | None:
    """What the folder holds of its plan; None where there is no readable plan. payloads: check every CRC."""
    plan = read_plan(folder.plan)
    if plan is None:
        return None
    journals = read_journals(folder, journal_key(spec), row_bytes(spec), payloads=payloads)
    return Inventory(plan, journals, find_sources(plan, journals))


def refresh(
    folder: Folder,
    dataset: Dataset,
    encoder: str,
    spec: Mapping[str, Any],
    *,
    batch_size: int | None = None,
    rehash: bool = False,
) -> Inventory:
    """Write the spec and the plan for `dataset` as it is now. Call it under the folder's lock."""
    folder.write_spec(spec)
    old = _old_plan(folder)
    journals = read_journals(folder, journal_key(spec), row_bytes(spec))
    batch_size = batch_size or (old.batch_size if old else BATCH_SIZE)
    plan = make_plan(dataset, encoder, batch_size, old, journals.stamps_by_id(), rehash=rehash)
    write_plan(folder.plan, plan)
    return Inventory(plan, journals, find_sources(plan, journals))


def open_writer(
    root: Path,
    dataset: Dataset,
    encoder: str,
    spec: Mapping[str, Any],
    worker: Worker,
    *,
    batch_size: int,
    rehash: bool,
) -> Writer:
    """A writer for what is still to be encoded.

    Raises StoreError: the spec lacks `dim` or `dtype`, another process writes this part or writes with
    other options, the disk is full.
    """
    check_spec(spec)
    folder = Folder.of(root, dataset.name, encoder, spec)
    with disk.explained(folder.path):
        disk.make_folder(folder.path)
    with folder.locked():
        session = session_of(dataset, encoder, spec, worker, batch_size)
        stock = refresh(folder, dataset, encoder, spec, batch_size=batch_size, rehash=rehash)
        _refuse_other_options(folder, stock.journals, session)
        writer = Writer(stock.plan, _wanted(stock, rehash), spec, worker)
        if writer.pending:
            writer.open(folder, journal_key(spec), session)
    return writer


def _wanted(stock: Inventory, rehash: bool) -> np.ndarray:
    """Rows not stored yet; images that could not be opened, or with `rehash` all refused ones, again."""
    wanted = stock.sources.where == MISSING
    for row in np.flatnonzero(stock.sources.where == QUARANTINED):
        entry = stock.sources.quarantined[stock.plan.ids[row]]
        wanted[row] = rehash or not entry["sha256"]
    return wanted


def _refuse_other_options(folder: Folder, journals: Journals, session: Mapping[str, Any]) -> None:
    for path, other in zip(journals.paths, journals.sessions, strict=True):
        if path == folder.part(session["worker"]) or not other or is_idle(path):
            continue
        for name in ("workers", "batch_size", "ids"):
            if other[name] != session[name]:
                what = (
                    f"{name} {other[name]}, not {session[name]}"
                    if name != "ids"
                    else "another list of images"
                )
                raise StoreError(
                    f"process {other['process']} on {other['host']} is writing {path} with {what}",
                    "Wait until it is done, or use the same options",
                )


def is_idle(path: Path) -> bool:
    """Whether no process is writing the journal."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return disk.try_lock(fd)
    finally:
        os.close(fd)


def _old_plan(folder: Folder) -> StorePlan | None:
    """The plan so far; made of features.h5 where PLAN.json is lost."""
    plan = read_plan(folder.plan)
    if not folder.features.exists():
        return plan and plan_fields(plan, packed=np.zeros(len(plan), dtype=bool))
    if plan is None:
        from imbpipe.cache.reader import plan_of_file

        with contextlib.suppress(StoreError):
            plan = plan_of_file(folder.features)
    return plan
