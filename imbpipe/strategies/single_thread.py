"""scikit-learn's searches and clusterings, one at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TURN = threading.Lock()


@contextmanager
def single_thread() -> Iterator[None]:
    """One caller at a time, on one OpenMP thread: the same bits every time.

    scikit-learn limits BLAS for as long as it computes, for the whole process; of two callers at once the
    first to end would lift the limit of the other.
    """
    from threadpoolctl import threadpool_limits

    with _TURN, threadpool_limits(1, "openmp"):
        yield
