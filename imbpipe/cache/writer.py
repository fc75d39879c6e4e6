"""One worker's side of the store: rows go to its journal, and count once they are safe on disk."""

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.journal import QUARANTINE, ROWS, heads_of, pack_rows
from imbpipe.cache.layout import Folder
from imbpipe.cache.part import Part
from imbpipe.cache.plan import StorePlan
from imbpipe.cache.spec import DTYPES, Spec, canonical
from imbpipe.cache.stamp import DIGEST_BYTES
from imbpipe.cache.worker import Worker, batches_of
from imbpipe.errors import StoreError
from imbpipe.types import Features

SYNC_BATCHES = 16
SYNC_SECONDS = 2.0


class Writer:
    """The store's FeatureSink; a context manager that commits on exit.

    pending: this worker's batches with rows still to encode. Rows are appended at once by `write`, and
    synced in groups by a thread of the writer's own.
    """

    def __init__(self, plan: StorePlan, wanted: NDArray[np.bool_], spec: Spec, worker: Worker) -> None:
        self.batch_size = plan.batch_size
        self.pending = batches_of(plan, wanted, worker)
        self._plan = plan
        self._dim, self._dtype = spec["dim"], spec["dtype"]
        self._heads = heads_of(plan.hashed_ids, plan.stamps)
        self._part: Part | None = None
        self._state = threading.Condition()
        self._handed = self._committed = self._committed_end = 0
        self._waiting = 0
        self._oldest = 0.0
        self._asked = self._closing = False
        self._failure: StoreError | None = None
        self._thread = threading.Thread(target=self._commit_groups, name="store-commit", daemon=True)

    def open(self, folder: Folder, key: bytes, session: Mapping[str, Any]) -> None:
        """Take the journal and start committing."""
        self._part = Part(folder, key, session)
        self._committed_end = self._part.end
        self._thread.start()

    @property
    def committed(self) -> int:
        """Rows and refusals of this run that are safe on disk."""
        return self._committed

    def write(self, rows: NDArray[np.int64], digests: NDArray[np.uint8], features: Features) -> None:
        """Hand over encoded rows: rows (b,), SHA-256 of each image's bytes (b, 32), features (b, dim).

        Raises StoreError: a value is not finite, the dimension differs, the disk is full.
        """
        stored = self._as_stored(rows, features)
        heads = self._heads[rows]
        heads["digest"] = digests[:, :DIGEST_BYTES]
        self._append(ROWS, pack_rows(heads, stored), len(rows))

    def quarantine(self, row: int, reason: str, digest: bytes) -> None:
        """Set one image aside; digest: SHA-256 of its bytes, empty where it could not be read."""
        refusal = {
            "id": self._plan.ids[row],
            "path": self._plan.paths[row],
            "reason": reason,
            "sha256": digest.hex(),
            "stamp": self._plan.stamps[row].tolist(),
        }
        self._append(QUARANTINE, [canonical(refusal)], 1)

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

    def _as_stored(self, rows: NDArray[np.int64], features: Features) -> NDArray[Any]:
        if features.shape != (len(rows), self._dim):
            raise StoreError(
                f"features of shape {features.shape} for {len(rows)} rows of {self._dim} dimensions"
            )
        with np.errstate(over="ignore") if self._dtype != features.dtype else contextlib.nullcontext():
            stored = np.ascontiguousarray(features, DTYPES[self._dtype])
        finite = np.isfinite(stored)
        if not finite.all():
            name = self._plan.ids[int(rows[int(np.argmin(finite.all(axis=1)))])]
            remedy = "Use --dtype float32" if self._dtype == "float16" else "Check the encoder's weights"
            raise StoreError(f"the features of {name!r} are not finite as {self._dtype}", remedy)
        return stored

    def _append(self, kind: int, payload: list[bytes | memoryview], rows: int) -> None:
        with self._state:
            if self._failure is not None:
                raise self._failure
            if self._part is None:
                raise ValueError("nothing is pending, or the writer is closed")
            try:
                self._part.append(kind, payload, rows)
            except OSError as error:
                raise self._lost(error, self._handed) from error
            self._handed += rows
            self._waiting += 1
            if self._waiting == 1:
                self._oldest = time.monotonic()
            if self._waiting in (1, SYNC_BATCHES):
                self._state.notify_all()

    def _commit_groups(self) -> None:
        assert self._part is not None
        while self._wait_for_group():
            with self._state:
                handed, end = self._handed, self._part.end
                self._waiting, self._asked = 0, False
            try:
                disk.sync_data(self._part.fd)
            except OSError as error:
                self._give_up(error)
                return
            with self._state:
                self._committed, self._committed_end = handed, end
                self._state.notify_all()

    def _wait_for_group(self) -> bool:
        """Return when a group is due; False once the writer closes."""
        with self._state:
            while not (self._closing or self._asked or self._waiting >= SYNC_BATCHES):
                left = self._oldest + SYNC_SECONDS - time.monotonic() if self._waiting else None
                if left is not None and left <= 0:
                    break
                self._state.wait(left)
            return not self._closing

    def _give_up(self, error: OSError) -> None:
        """Cut off what could not be synced: it can still be read, but may never have reached the disk."""
        with self._state:
            assert self._part is not None
            os.ftruncate(self._part.fd, self._committed_end)
            self._failure = self._lost(error, self._committed)
            self._state.notify_all()

    def _lost(self, error: OSError, kept: int) -> StoreError:
        assert self._part is not None
        return disk.disk_error(error, self._part.path, f"{kept} rows of this run are safe")
