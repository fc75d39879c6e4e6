"""Records that are appended one by one and made durable together."""

import contextlib
import math
import os
import time

from imbpipe.cache import disk
from imbpipe.cache.part import Part

Payload = list[bytes | memoryview]


class Group:
    """What was appended to a journal since it was last synced.

    waiting: records not yet synced. committed: rows synced since the group was made.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._appended = 0
        self._oldest = math.inf
        self._safe_end = part.end
        self.waiting = 0
        self.committed = 0

    def due(self, seconds: float) -> float:
        """When, by time.monotonic(), the oldest record will have waited for `seconds`."""
        return self._oldest + seconds

    def append(self, kind: int, payload: Payload, rows: int) -> None:
        """Append one record of `rows` rows. Raises OSError."""
        self._part.append(kind, payload, rows)
        self._appended += rows
        self.waiting += 1
        self._oldest = min(self._oldest, time.monotonic())

    def sync(self) -> None:
        """Make all of it durable, or cut it off: it could still be read, but may never reach the disk.

        Raises OSError: the latter.
        """
        try:
            disk.sync_data(self._part.fd)
        except OSError:
            os.ftruncate(self._part.fd, self._safe_end)
            self.waiting = 0
            raise
        self.committed, self._safe_end = self._appended, self._part.end
        self.waiting, self._oldest = 0, math.inf

    def save(self) -> None:
        """After an error: sync what was appended before it."""
        if self.waiting:
            with contextlib.suppress(OSError):
                self.sync()
