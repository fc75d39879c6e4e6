"""How many threads read and decode: as many as there are cores, more while they wait for the disk."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from imbpipe.encoders.cores import usable_cores

MOST_A_CORE = 8
MOST = 64
LOOK_SECONDS = 1.0
IDLE = 0.2
"""Share of the cores' time that has to lie idle, and of the encoder's that it has to wait, to add threads."""


class Workers:
    """Lets at most `count` threads work at once.

    wanted: that many always; None: begin with one a core, and look about once a second whether the encoder
    waits for images while cores lie idle. Then the threads wait for the disk or the network, and more of
    them wait at the same time.
    """

    def __init__(self, wanted: int | None) -> None:
        self._cores = usable_cores()
        self.count = wanted or min(self._cores, MOST)
        self.most = wanted or min(MOST_A_CORE * self._cores, MOST)
        self._slots = threading.Semaphore(self.count)
        self._looked, self._used, self._waited = time.monotonic(), time.process_time(), 0.0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A thread's turn to work."""
        with self._slots:
            yield

    def look(self, waited: float) -> None:
        """Add threads if they are what is missing. waited: seconds that the encoder waited so far."""
        now = time.monotonic()
        seconds = now - self._looked
        if self.count == self.most or seconds < LOOK_SECONDS:
            return
        used = time.process_time()
        idle = 1 - (used - self._used) / (seconds * self._cores)
        waiting = (waited - self._waited) / seconds
        self._looked, self._used, self._waited = now, used, waited
        if min(idle, waiting) > IDLE:
            more = min(self.count, self.most - self.count)
            self._slots.release(more)
            self.count += more
