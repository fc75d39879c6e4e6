"""How many threads read and decode, found out while they do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from imbpipe.encoders.cores import usable_cores

MOST_A_CORE = 8
MOST = 64
LOOK_SECONDS = 1.0
WAITING = 0.05
"""Share of its time that the encoder has to wait to add threads."""
IDLE = 0.2
"""Share of the cores' time that has to lie idle to have more threads than cores, which wait for the disk."""


class Workers:
    """Lets at most `count` threads work at once.

    wanted: that many always. None: about once a second, twice as many if the encoder waits for images.
    shares_cores: whether the encoder computes on the same cores. Then one thread begins, as each that is
    not needed takes cache and time from the encoder; otherwise one a core.
    """

    def __init__(self, wanted: int | None, *, shares_cores: bool) -> None:
        self._cores = usable_cores()
        self.count = wanted or (1 if shares_cores else min(self._cores, MOST))
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
        if waiting > WAITING and (self.count < self._cores or idle > IDLE):
            more = min(self.count, self.most - self.count)
            self._slots.release(more)
            self.count += more
