"""All rows that the journals of a folder hold."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.journal import HEAD, ID_BYTES, QUARANTINE, ROWS, SESSION, Record, Scan, scan
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import Spec, journal_key, row_bytes
from imbpipe.errors import StoreError


@dataclass(frozen=True, eq=False)
class JournalRows:
    """m rows in the order they were written.

    heads: (m,) of type HEAD. file: (m,) number of the journal. offset: (m,) of the features in it.
    """

    heads: NDArray[np.void]
    file: NDArray[np.int64]
    offset: NDArray[np.int64]

    def places(self, hashed_ids: Sequence[bytes]) -> NDArray[np.int64]:
        """(m,) which of `hashed_ids` each row is of; -1 where none."""
        place_of = {name: place for place, name in enumerate(hashed_ids)}
        data = self.heads["id"].tobytes()
        names = (data[start : start + ID_BYTES] for start in range(0, len(data), ID_BYTES))
        return np.fromiter((place_of.get(name, -1) for name in names), np.int64, count=len(self.heads))


@dataclass
class Journals:
    """paths: of the journals. scans, sessions: of each, what is valid and who wrote it last.

    refused: what the QUARANTINE records say, in order.
    """

    paths: list[Path] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    rows: JournalRows = field(default_factory=lambda: _joined([]))


def read_journals(
    folder: Folder, spec: Spec, *, payloads: bool = True, paths: Sequence[Path] | None = None
) -> Journals:
    """What the journals of the folder hold, or those at `paths`. payloads: check the CRC of every payload.

    Raises StoreError: a journal is of another spec, or cannot be read.
    """
    journals = Journals(folder.journals() if paths is None else list(paths))
    rows = []
    for number, path in enumerate(journals.paths):
        with disk.explained(path), path.open("rb") as file:
            found = scan(file.fileno(), journal_key(spec), payloads=payloads)
            if found.foreign:
                raise StoreError(f"{path} was written for another spec", folder.repair_command)
            journals.scans.append(found)
            journals.sessions.append({})
            for record, data in _documents(file.fileno(), found):
                if record.kind == SESSION:
                    journals.sessions[-1] = json.loads(data)
                elif record.kind == QUARANTINE:
                    journals.refused.append(json.loads(data))
                elif record.kind == ROWS:
                    if record.length != record.rows * (HEAD.itemsize + row_bytes(spec)):
                        raise StoreError(f"{path} holds rows of another dimension", folder.repair_command)
                    rows.append(_rows(data, record, row_bytes(spec), number))
    journals.rows = _joined(rows)
    return journals


def _documents(fd: int, found: Scan) -> Iterator[tuple[Record, bytes]]:
    """Each record with its payload, the features left out."""
    for record in found.records:
        length = record.rows * HEAD.itemsize if record.kind == ROWS else record.length
        yield record, os.pread(fd, length, record.offset)


def _rows(data: bytes, record: Record, width: int, number: int) -> JournalRows:
    places = np.arange(record.rows, dtype=np.int64)
    offset = record.offset + record.rows * HEAD.itemsize + width * places
    return JournalRows(np.frombuffer(data, HEAD), np.full(record.rows, number), offset)


def _joined(parts: list[JournalRows]) -> JournalRows:
    return JournalRows(
        np.concatenate([np.empty(0, HEAD), *(part.heads for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.file for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.offset for part in parts)]),
    )
