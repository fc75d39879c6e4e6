"""What goes into features.h5, gathered from where it lies."""

import contextlib
import errno
import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.hdf5 import BLOCK_ROWS, Content, make_content
from imbpipe.cache.inventory import PACKED, Inventory
from imbpipe.cache.layout import Folder, damaged, decode_text
from imbpipe.cache.reader import open_rows
from imbpipe.cache.spec import DTYPES, Spec, row_bytes
from imbpipe.cache.stored import StoredFeatures


def content_of(stock: Inventory, spec: Spec, kept: NDArray[np.int64]) -> Content:
    """All but the features of the plan's rows `kept`."""
    plan = stock.plan
    refused = stock.quarantined.items()
    return make_content(
        dataset=plan.dataset,
        encoder=plan.encoder,
        task=plan.task,
        spec=spec,
        class_names=plan.class_names,
        ids=[plan.ids[row] for row in kept],
        labels=plan.labels[kept],
        image_digest=stock.digests[kept],
        quarantined={name: {"reason": entry["reason"], "sha256": entry["sha256"]} for name, entry in refused},
    )


def blocks_of(
    folder: Folder, stock: Inventory, spec: Spec, kept: NDArray[np.int64]
) -> Iterator[NDArray[Any]]:
    """The features of the plan's rows `kept`, BLOCK_ROWS at a time, from journals and the old features.h5.

    Raises StoreError: the old file is damaged or lacks a row.
    """
    dtype = np.dtype(DTYPES[spec["dtype"]])
    width = row_bytes(spec)
    old, place_in_old = _old_rows(folder, stock, kept)
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(path.open("rb", buffering=0)) for path in stock.journals.paths]
        for start in range(0, len(kept), BLOCK_ROWS):
            where = stock.where[kept[start : start + BLOCK_ROWS]]
            block = np.empty((len(where), spec["dim"]), dtype)
            packed = where == PACKED
            if old is not None:
                block[packed] = old[place_in_old[start : start + BLOCK_ROWS][packed]]
            _read_runs(block.view(np.uint8), np.flatnonzero(~packed), where, stock, files, width)
            yield block


def _old_rows(
    folder: Folder, stock: Inventory, kept: NDArray[np.int64]
) -> tuple[StoredFeatures | None, NDArray[np.int64]]:
    """The features in the old file, where any are wanted, and at which of its rows each of `kept` is."""
    place = np.full(len(kept), -1, dtype=np.int64)
    if not (stock.where == PACKED).any():
        return None, place
    content, chunks = open_rows(folder.features)
    rows = {decode_text(name): row for row, name in enumerate(content.arrays["ids"].tolist())}
    for at, row in enumerate(kept):
        if stock.where[row] == PACKED:
            place[at] = rows.get(stock.plan.ids[row], -1)
    packed = np.flatnonzero(stock.where[kept] == PACKED)
    same = content.arrays["image_digest"][place[packed]] == stock.digests[kept[packed]]
    if (place[packed] < 0).any() or not same.all():
        raise damaged(folder.features, "it lacks rows that PLAN.json says it holds")
    return StoredFeatures(chunks, memory=0), place


def _read_runs(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    where: NDArray[np.int64],
    stock: Inventory,
    files: list[io.FileIO],
    width: int,
) -> None:
    """Read rows from journals, those that lie one behind the other at once.

    They are not mapped: what is mapped counts as this process's memory. Raises OSError: a journal was cut.
    """
    if not len(places):
        return
    file, offset = stock.journals.rows.file[where[places]], stock.journals.rows.offset[where[places]]
    joined = (np.diff(file) == 0) & (np.diff(offset) == width) & (np.diff(places) == 1)
    starts = np.concatenate([[0], np.flatnonzero(~joined) + 1, [len(places)]])
    for first, end in itertools.pairwise(starts.tolist()):
        run = data[places[first] : places[first] + (end - first)]
        source = files[file[first]]
        source.seek(offset[first])
        if source.readinto(run) != run.nbytes:
            raise OSError(errno.EIO, "a journal ends too early", source.name)
