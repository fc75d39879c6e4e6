"""One worker's side of the store: rows go to its journal, and count once they are safe on disk."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.buffers import Buffers
from imbpipe.cache.group import Group, Payload
from imbpipe.cache.journal import QUARANTINE, ROWS, heads_of, pack_rows
from imbpipe.cache.part import Part
from imbpipe.cache.plan import StorePlan
from imbpipe.cache.spec import Spec, canonical
from imbpipe.cache.stamp import DIGEST_BYTES
from imbpipe.cache.worker import PendingBatches, Worker
from imbpipe.errors import StoreError
from imbpipe.extract.sink import Batch
from imbpipe.types import Features

SYNC_BATCHES = 16
SYNC_SECONDS = 2.0
MOST_QUEUED = 64
"""Records that may wait while the disk is slow, before `write` waits too."""


@dataclass(frozen=True, eq=False)
class _Record:
    """What waits to be appended. features: what of it is given back to the buffers afterwards."""

    kind: int
    payload: Payload
    rows: int
    features: NDArray[Any] | None = None


class Writer:
    """The store's FeatureSink; a context manager that commits on exit.

    pending: this worker's batches with rows still to encode. What is handed over is appended and, in groups,
    synced by a thread of the writer's own: it alone touches the journal. What goes wrong there is raised
    by the next call.
    """

    def __init__(self, plan: StorePlan, wanted: NDArray[np.bool_], spec: Spec, worker: Worker) -> None:
        self.batch_size = plan.batch_size
        self.pending: Sequence[Batch] = PendingBatches(plan, wanted, worker)
        self._plan = plan
        self._dim, self._dtype = spec["dim"], spec["dtype"]
        self._heads = heads_of(plan.hashed_ids, plan.stamps)
        self._part: Part | None = None
        self._thread = threading.Thread(target=self._run, name="store-commit", daemon=True)
        self._state = threading.Condition()
        self._queue: list[_Record] = []
        self._buffers = Buffers(plan.batch_size, spec)
        self._handed = self._committed = 0
        self._asked = self._closing = False
        self._failure: Exception | None = None

    def open(self, journal: Path, key: bytes, session: Mapping[str, Any]) -> None:
        """Take the journal and start committing."""
        self._part = Part(journal, key, session)
        self._thread.start()

    @property
    def committed(self) -> int:
        """Rows and refusals of this run that are safe on disk."""
        return self._committed

    def write(self, rows: NDArray[np.int64], digests: NDArray[np.uint8], features: Features) -> None:
        """Hand over encoded rows: rows (b,), SHA-256 of each image's bytes (b, 32), features (b, dim).

        Raises StoreError: a value is not finite, the dimension differs, the disk is full.
        """
        stored = self._copy(rows, features)
        heads = self._heads[rows]
        heads["digest"] = digests[:, :DIGEST_BYTES]
        self._hand_over(_Record(ROWS, pack_rows(heads, stored), len(rows), stored))

    def quarantine(self, row: int, reason: str, digest: bytes) -> None:
        """Set one image aside; digest: SHA-256 of its bytes, empty where it could not be read."""
        refusal = {
            "id": self._plan.ids[row],
            "path": self._plan.paths[row],
            "reason": reason,
            "sha256": digest.hex(),
            "stamp": self._plan.stamps[row].tolist(),
        }
        self._hand_over(_Record(QUARANTINE, [canonical(refusal)], 1))

    def commit(self) -> None:
        """Return once everything handed over is safe on disk. Raises StoreError: it cannot be."""
        with self._state:
            handed = self._handed
            while self._committed < handed and self._failure is None:
                self._asked = True
                self._state.notify_all()
                self._state.wait()
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """Commit, and let go of the journal."""
        if self._part is None:
            return
        try:
            self.commit()
        finally:
            with self._state:
                self._closing = True
                self._state.notify_all()
            self._thread.join()
            self._part.close()
            self._part = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StoreError:
            if error is None:
                raise

    def _copy(self, rows: NDArray[np.int64], features: Features) -> NDArray[Any]:
        """As they are stored; a copy, since the caller may use its array again."""
        if features.shape != (len(rows), self._dim):
            raise StoreError(
                f"features of shape {features.shape} for {len(rows)} rows of {self._dim} dimensions",
                "Mend the encoder: it does not give what it says",
            )
        stored = self._buffers.copy(features)
        finite = np.isfinite(stored)
        if not finite.all():
            name = self._plan.ids[int(rows[int(np.argmin(finite.all(axis=1)))])]
            remedy = "Use --dtype float32" if self._dtype == "float16" else "Check the encoder's weights"
            raise StoreError(f"the features of {name!r} are not finite as {self._dtype}", remedy)
        return stored

    def _hand_over(self, record: "_Record") -> None:
        with self._state:
            if self._part is None:
                raise ValueError("nothing is pending, or the writer is closed")
            while len(self._queue) >= MOST_QUEUED and self._failure is None:
                self._state.wait()
            if self._failure is not None:
                raise self._failure
            self._queue.append(record)
            self._handed += record.rows
            self._state.notify_all()

    def _run(self) -> None:
        assert self._part is not None
        group = Group(self._part)
        try:
            while self._step(group):
                pass
        except Exception as error:
            group.save()
            kept = f"{group.committed} rows of this run are safe"
            told = disk.disk_error(error, self._part.path, kept) if isinstance(error, OSError) else error
            with self._state:
                self._committed, self._failure = group.committed, told
                self._state.notify_all()

    def _step(self, group: Group) -> bool:
        """Append what was handed over, and sync if it is time; False once the writer closes."""
        with self._state:
            while not (self._queue or self._asked or self._closing):
                left = group.due(SYNC_SECONDS) - time.monotonic()
                if left <= 0:
                    break
                self._state.wait(min(left, threading.TIMEOUT_MAX))
            records, self._queue = self._queue, []
            asked, self._asked = self._asked, False
            self._state.notify_all()
            if self._closing and not records:
                return False
        for record in records:
            group.append(record.kind, record.payload, record.rows)
            if record.features is not None:
                self._buffers.give_back(record.features)
        if group.waiting and (
            asked or group.waiting >= SYNC_BATCHES or group.due(SYNC_SECONDS) <= time.monotonic()
        ):
            group.sync()
            with self._state:
                self._committed = group.committed
                self._state.notify_all()
        return True
