"""Cut what is left to encode into pieces that machines can take, lose and take again."""

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.inventory import Inventory, take_stock
from imbpipe.cache.journals import read_journals
from imbpipe.cache.layout import Folder
from imbpipe.cache.opening import refuse_writers, wanted_of
from imbpipe.cache.plan import StorePlan
from imbpipe.cache.refresh import look, refresh
from imbpipe.cache.spec import Spec, check_spec, journal_key
from imbpipe.cache.stamp import NO_FILE, stamp_of
from imbpipe.cache.worker import Worker, session_of
from imbpipe.cache.writer import Writer
from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import ClusterError


@dataclass(frozen=True, eq=False)
class Piece:
    """Some whole batches of a plan, and all that is needed to encode them on any machine.

    folder: of the features. number: of the piece, which its journal is named after. plan: of the batches' m
    rows alone. wanted: (m,) which of them are to be encoded. session: what its journal says of the run.
    """

    folder: Path
    number: int
    plan: StorePlan
    wanted: NDArray[np.bool_]
    session: Mapping[str, Any]

    def open(self, spec: Spec) -> tuple[Writer, int]:
        """A writer for what no earlier attempt at this piece has stored, and how many rows one has.

        Where the journal is still locked, by a machine that was given up for lost, another one is begun: what
        is written twice counts once.
        Raises ClusterError: this machine does not see the store, or the images. StoreError: as `open_writer`.
        """
        self._check_files()
        folder = Folder(self.folder)
        stock = take_stock(self.plan, read_journals(folder, spec, paths=folder.parts(self.number)))
        left = self.wanted & (stock.where < 0)
        writer = Writer(self.plan, left, spec, Worker())
        if writer.pending:
            own = folder.part(self.number)
            free = not own.exists() or disk.is_idle(own)
            session = {**self.session, "process": os.getpid(), "host": socket.gethostname()}
            writer.open(own if free else folder.unused_part(self.number), journal_key(spec), session)
        return writer, int(self.wanted.sum() - left.sum())

    def _check_files(self) -> None:
        """A machine without the file system would set every image aside as missing."""
        host, remedy = socket.gethostname(), "Images and cache have to be on a file system of all nodes"
        if not Folder(self.folder).plan.exists():
            raise ClusterError(f"{host} does not see the store's folder {self.folder}", remedy)
        first = np.flatnonzero(self.wanted & (self.plan.stamps != NO_FILE).any(axis=1))[:1]
        for row in first:
            if stamp_of(self.plan.paths[row]) == NO_FILE:
                raise ClusterError(f"{host} does not see the image {self.plan.paths[row]}", remedy)


def open_pieces(
    root: Path, dataset: Dataset, encoder: str, spec: Spec, count: int, *, batch_size: int, rehash: bool
) -> tuple[Inventory, list[Piece]]:
    """What is stored already, and what is still to be encoded in at most `count` pieces of equal size.

    Raises StoreError: somebody writes features of this data set by this encoder now, the disk is full.
    """
    check_spec(spec)
    folder = Folder.of(root, dataset.name, encoder, spec)
    with disk.explained(folder.path):
        disk.make_folder(folder.path)
    plan = look(dataset, encoder, batch_size)
    with folder.locked():
        stock = refresh(folder, plan, spec, rehash=rehash)
        refuse_writers(stock.journals)
    cuts = _cut(stock.plan, wanted_of(stock, rehash), count)
    run = uuid.uuid4().hex
    pieces = []
    for number, (rows, wanted) in enumerate(cuts):
        session = session_of(dataset, encoder, spec, Worker(number, len(cuts)), batch_size)
        pieces.append(Piece(folder.path, number, stock.plan.only(rows), wanted, {**session, "run": run}))
    return stock, pieces


def _cut(
    plan: StorePlan, wanted: NDArray[np.bool_], count: int
) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Rows of whole batches, the last one last, so that each row is computed at its own place."""
    size = plan.batch_size
    batches = np.unique(np.flatnonzero(wanted) // size)
    cuts = []
    for some in np.array_split(batches, min(count, len(batches)) or 1):
        rows = (some[:, None] * size + np.arange(size)).ravel()
        rows = rows[rows < len(plan)]
        if len(rows):
            cuts.append((rows, wanted[rows]))
    return cuts
