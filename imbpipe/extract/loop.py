"""The extraction loop: pending batches in, features out to the sink."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from imbpipe.encoders.encoder import Encoder
from imbpipe.errors import DatasetError, UsageError
from imbpipe.extract.batches import LoadedBatch, load_batches
from imbpipe.extract.sink import FeatureSink
from imbpipe.types import Progress

MAX_WORKERS = 16


@dataclass(frozen=True)
class Summary:
    """What came of one run.

    encoded: images. quarantined: path and reason of each image set aside. seconds: wall clock.
    stopped: whether `should_stop` ended it before the last batch.
    """

    encoded: int
    quarantined: tuple[tuple[str, str], ...]
    seconds: float
    stopped: bool


def extract(
    encoder: Encoder,
    sink: FeatureSink,
    *,
    workers: int | None = None,
    max_bad: float | None = None,
    images: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Summary:
    """Encode every wanted image of the sink's pending batches; a bad one is set aside.

    Every batch is computed at its full size with each row at its own place, whichever rows are wanted, so
    an interrupted run that goes on gives the same bits as an unbroken one.

    workers: decoding threads; None: as many as there are cores, at most 16.
    max_bad: share of `images` (all of the data set's; by default those still to be encoded) that may be
        bad before the run ends with an error. What was encoded until then is committed.
    should_stop: asked between batches; when true, the run commits what it has and returns.

    Raises DatasetError: more bad images than allowed; UsageError: `max_bad` is no share; StoreError: the
    sink cannot take a batch.
    """
    if max_bad is not None and not 0 <= max_bad <= 1:
        raise UsageError(f"{max_bad} is no share", "Give --max-bad from 0 to 1, as 0.01")
    started = time.monotonic()
    total = sum(sum(batch.wanted) for batch in sink.pending)
    encoded, bad, stopped = 0, [], False
    with _quiet_decoders(), closing(load_batches(encoder, sink, workers or _cores())) as batches:
        for batch in batches:
            if stopped := should_stop is not None and should_stop():
                break
            encoded += _encode(encoder, sink, batch)
            bad += [(str(image.path), image.reason) for image in batch.images.values() if image.reason]
            if progress:
                progress(sink.committed, total)
            if max_bad is not None and len(bad) > max_bad * (images or total):
                sink.commit()
                raise _too_many(bad, images or total, max_bad)
    sink.commit()
    if progress:
        progress(sink.committed, total)
    return Summary(encoded, tuple(bad), time.monotonic() - started, stopped)


def _encode(encoder: Encoder, sink: FeatureSink, batch: LoadedBatch) -> int:
    """Hand the batch's features and its bad images over; the number of images encoded."""
    good = {place: image for place, image in batch.images.items() if not image.reason}
    if good:
        features = encoder.encode(batch.pixels)[list(good)]
        rows = np.array([image.row for image in good.values()], np.int64)
        digests = np.frombuffer(b"".join(image.digest for image in good.values()), np.uint8)
        sink.write(rows, digests.reshape(-1, 32), features)
    for image in batch.images.values():
        if image.reason:
            sink.quarantine(image.row, image.reason, image.digest)
    return len(good)


def _too_many(bad: list[tuple[str, str]], images: int, max_bad: float) -> DatasetError:
    path, reason = bad[0]
    return DatasetError(
        f"{len(bad)} of {images} images cannot be read, more than --max-bad {max_bad:g} allows "
        f"(first {path}: {reason})",
        "Mend or remove them, or allow more; what was encoded is kept",
    )


def _cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_WORKERS)


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Pillow's warnings about odd files go unheard: what matters of them is in the reasons."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
