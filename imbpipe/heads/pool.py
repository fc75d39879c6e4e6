"""Threads that work side by side, each without threads of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of `count` threads whose products run on one core each.

    A product then has the same bits however many cores there are, and small ones do not wait for
    each other. Leaving the block drops what has not begun and waits for the rest.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, "heads", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # the default of threads to come, which the workers set to 1
