"""Where the row of each image is to be found."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.journal import (
    DIGEST_BYTES,
    ID_BYTES,
    QUARANTINE,
    ROW_BYTES,
    ROWS,
    SESSION,
    STAMP_BYTES,
    Record,
    Scan,
    scan,
)
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import StorePlan
from imbpipe.errors import StoreError

MISSING, PACKED, QUARANTINED = -1, -2, -3


@dataclass(frozen=True, eq=False)
class Journals:
    """The m rows that the journals of a folder hold.

    ids, digests: (m, 16). stamps: (m, 2). file: (m,) index into `paths`. offset: (m,) of the features.
    refused: what QUARANTINE records say, in order. sessions: the last SESSION of each path.
    """

    paths: tuple[Path, ...]
    scans: tuple[Scan, ...]
    ids: NDArray[np.uint8]
    digests: NDArray[np.uint8]
    stamps: NDArray[np.int64]
    file: NDArray[np.int64]
    offset: NDArray[np.int64]
    refused: tuple[dict, ...]
    sessions: tuple[dict, ...]

    def stamps_by_id(self) -> dict[bytes, set[tuple[int, int]]]:
        """Hash of an id -> the stamps of its rows."""
        found = defaultdict(set)
        for name, stamp in zip(_rows_as_bytes(self.ids), self.stamps.tolist(), strict=True):
            found[name].add((stamp[0], stamp[1]))
        return dict(found)


def read_journals(folder: Folder, key: bytes, row_bytes: int, *, payloads: bool = True) -> Journals:
    """What all journals of the folder hold. row_bytes: of a row's features.

    Raises StoreError: a journal is of another spec, or cannot be read.
    """
    paths = tuple(folder.journals())
    columns: tuple[list[NDArray[Any]], ...] = ([], [], [], [], [])
    refused: list[dict] = []
    sessions: list[dict] = []
    scans = []
    for number, path in enumerate(paths):
        with disk.explained(path):
            found = scan(path, key, payloads=payloads)
        scans.append(found)
        if found.foreign:
            raise StoreError(f"{path} was written for another spec", "Move it out of this folder")
        session: dict = {}
        with path.open("rb") as file:
            for record in found.records:
                if record.kind == ROWS:
                    for column, part in zip(
                        columns, _columns(file.fileno(), record, row_bytes, path, number), strict=True
                    ):
                        column.append(part)
                elif record.kind == QUARANTINE:
                    refused.append(json.loads(os.pread(file.fileno(), record.length, record.offset)))
                elif record.kind == SESSION:
                    session = json.loads(os.pread(file.fileno(), record.length, record.offset))
        sessions.append(session)
    return Journals(
        paths,
        tuple(scans),
        np.concatenate([np.empty((0, ID_BYTES), np.uint8), *columns[0]]),
        np.concatenate([np.empty((0, DIGEST_BYTES), np.uint8), *columns[1]]),
        np.concatenate([np.empty((0, 2), np.int64), *columns[2]]),
        np.concatenate([np.empty(0, np.int64), *columns[3]]),
        np.concatenate([np.empty(0, np.int64), *columns[4]]),
        tuple(refused),
        tuple(sessions),
    )


def _columns(fd: int, record: Record, row_bytes: int, path: Path, number: int) -> tuple[NDArray, ...]:
    b = record.rows
    if record.length != b * (ROW_BYTES + row_bytes):
        raise StoreError(f"{path} holds rows of another dimension", "Move it out of this folder")
    head = os.pread(fd, b * ROW_BYTES, record.offset)
    ids = np.frombuffer(head, np.uint8, b * ID_BYTES).reshape(b, ID_BYTES)
    digests = np.frombuffer(head, np.uint8, b * DIGEST_BYTES, b * ID_BYTES).reshape(b, DIGEST_BYTES)
    stamps = np.frombuffer(head, "<i8", b * STAMP_BYTES // 8, b * (ID_BYTES + DIGEST_BYTES)).reshape(b, 2)
    offsets = record.offset + b * ROW_BYTES + row_bytes * np.arange(b, dtype=np.int64)
    return ids, digests, stamps, np.full(b, number), offsets


@dataclass(frozen=True, eq=False)
class Sources:
    """Of each of n planned images, `where` (n,): a row of the journals, PACKED, QUARANTINED or MISSING.

    digests: (n, 16) of the image behind the row. quarantined: id -> {"path", "reason", "sha256"}.
    """

    where: NDArray[np.int64]
    digests: NDArray[np.uint8]
    quarantined: dict[str, dict[str, str]]

    @property
    def done(self) -> int:
        """Images whose features are stored."""
        return int(((self.where >= 0) | (self.where == PACKED)).sum())

    @property
    def missing(self) -> NDArray[np.int64]:
        """Row numbers of images still to be encoded."""
        return np.flatnonzero(self.where == MISSING)


def find_sources(plan: StorePlan, journals: Journals) -> Sources:
    """Match by (id, digest), or where the image's digest is not known yet by (id, size and mtime)."""
    places = {name: row for row, name in enumerate(plan.hashed_ids())}
    rows = np.array([places.get(name, -1) for name in _rows_as_bytes(journals.ids)], dtype=np.int64)
    same_bytes = (journals.digests == plan.digests[rows]).all(axis=1) if len(rows) else np.zeros(0, bool)
    same_stamp = (journals.stamps == plan.stamps[rows]).all(axis=1) if len(rows) else np.zeros(0, bool)
    usable = np.flatnonzero((rows >= 0) & np.where(plan.known[rows], same_bytes, same_stamp))[::-1]
    where = np.full(len(plan), MISSING, dtype=np.int64)
    digests = plan.digests.copy()
    where[rows[usable]] = usable
    found = where >= 0
    digests[found] = journals.digests[where[found]]
    where[plan.packed] = PACKED
    digests[plan.packed] = plan.digests[plan.packed]
    quarantined = _quarantined(plan, journals, where)
    return Sources(where, digests, quarantined)


def _quarantined(plan: StorePlan, journals: Journals, where: NDArray[np.int64]) -> dict[str, dict[str, str]]:
    row_of = {name: row for row, name in enumerate(plan.ids)}
    found = {name: entry for name, entry in plan.quarantined.items() if where[row_of[name]] == MISSING}
    for entry in journals.refused:
        row = row_of.get(entry["id"])
        if row is None or where[row] != MISSING or plan.stamps[row].tolist() != entry["stamp"]:
            continue
        found[entry["id"]] = {name: entry[name] for name in ("path", "reason", "sha256")}
    for name in found:
        where[row_of[name]] = QUARANTINED
    return {name: found[name] for name in plan.ids if name in found}


def _rows_as_bytes(rows: NDArray[np.uint8]) -> list[bytes]:
    data = rows.tobytes()
    width = rows.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]
