"""Hand a worker what is left to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.inventory import MISSING, QUARANTINED, Inventory
from imbpipe.cache.journals import Journals
from imbpipe.cache.layout import PATIENCE, Folder
from imbpipe.cache.refresh import look, refresh
from imbpipe.cache.spec import Spec, check_spec, journal_key
from imbpipe.cache.worker import Worker, session_of
from imbpipe.cache.writer import Writer
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import StoreError

SHARDS_PATIENCE = 3600.0
"""Seconds that a shard waits for others that begin at the same time, each of which plans for itself."""


def open_writer(
    root: Path, dataset: Dataset, encoder: str, spec: Spec, worker: Worker, *, batch_size: int, rehash: bool
) -> Writer:
    """A writer for what is still to be encoded; it holds a journal only if there is something.

    Raises StoreError: the spec lacks `dim` or `dtype`, another process writes this part or writes with
    other options, the disk is full.
    """
    check_spec(spec)
    folder = Folder.of(root, dataset.name, encoder, spec)
    with disk.explained(folder.path):
        disk.make_folder(folder.path)
    plan = look(dataset, encoder, batch_size)
    with folder.locked(SHARDS_PATIENCE if worker.count > 1 else PATIENCE):
        session = session_of(dataset, encoder, spec, worker, batch_size)
        stock = refresh(folder, plan, spec, rehash=rehash)
        _refuse_other_options(folder, stock.journals, session)
        writer = Writer(stock.plan, wanted_of(stock, rehash), spec, worker)
        if writer.pending:
            writer.open(folder.part(worker.number), journal_key(spec), session)
    return writer


def wanted_of(stock: Inventory, rehash: bool) -> NDArray[np.bool_]:
    """Rows not stored yet; images that could not be opened, or with `rehash` all refused ones, again."""
    wanted = stock.where == MISSING
    for row in np.flatnonzero(stock.where == QUARANTINED):
        wanted[row] = rehash or not stock.quarantined[stock.plan.ids[row]]["sha256"]
    return wanted


def refuse_writers(journals: Journals) -> None:
    """Raises StoreError: another process writes a journal."""
    for path, other in zip(journals.paths, journals.sessions, strict=True):
        if other and not disk.is_idle(path):
            raise StoreError(
                f"process {other['process']} on {other['host']} is writing {path}",
                "Wait until it is done, or stop it",
            )


def _refuse_other_options(folder: Folder, journals: Journals, session: Mapping[str, Any]) -> None:
    """Workers that share out the batches have to cut them alike."""
    for path, other in zip(journals.paths, journals.sessions, strict=True):
        if path == folder.part(session["worker"]) or not other or disk.is_idle(path):
            continue
        for name in ("workers", "batch_size", "ids"):
            if other[name] != session[name]:
                what = (
                    "another list of images"
                    if name == "ids"
                    else f"{name} {other[name]}, not {session[name]}"
                )
                raise StoreError(
                    f"process {other['process']} on {other['host']} is writing {path} with {what}",
                    "Wait until it is done, or use the same options",
                )
