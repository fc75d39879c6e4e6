"""The extraction loop: pending batches in, features out to the sink."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.torch_backend import exact_arithmetic
from imbpipe.errors import DatasetError, UsageError
from imbpipe.extract.batches import EncodedBatch, Encoding
from imbpipe.extract.sink import FeatureSink
from imbpipe.types import Progress


@dataclass(frozen=True)
class Summary:
    """What came of one run.

    encoded: images. quarantined: path and reason of each image set aside. seconds: wall clock.
    stopped: whether `should_stop` ended it before the last batch. waiting: seconds of these that the encoder
        waited for images.
    """

    encoded: int
    quarantined: tuple[tuple[str, str], ...]
    seconds: float
    stopped: bool
    waiting: float


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

    workers: threads that read and decode; None: as many as keep the encoder busy.
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
    with _quiet_decoders(), exact_arithmetic(), Encoding(encoder, sink, workers) as batches:
        for batch in batches:
            if stopped := should_stop is not None and should_stop():
                break
            encoded += _hand_over(sink, batch)
            bad += [(str(image.path), image.reason) for image in batch.images.values() if image.reason]
            if progress:
                progress(sink.committed, total)
            if max_bad is not None and len(bad) > max_bad * (images or total):
                sink.commit()
                raise too_many_bad(bad, images or total, max_bad)
    sink.commit()
    if progress:
        progress(sink.committed, total)
    return Summary(encoded, tuple(bad), time.monotonic() - started, stopped, batches.waiting)


def _hand_over(sink: FeatureSink, batch: EncodedBatch) -> int:
    """Give the batch's features and its bad images to the sink; the number of images encoded."""
    good = {place: image for place, image in batch.images.items() if not image.reason}
    if batch.features is not None:
        rows = np.array([image.row for image in good.values()], np.int64)
        digests = np.frombuffer(b"".join(image.digest for image in good.values()), np.uint8)
        sink.write(rows, digests.reshape(-1, 32), batch.features[list(good)])
    for image in batch.images.values():
        if image.reason:
            sink.quarantine(image.row, image.reason, image.digest)
    return len(good)


def too_many_bad(bad: Sequence[tuple[str, str]], images: int, max_bad: float) -> DatasetError:
    """The error for more bad images, each with path and reason, than the share `max_bad` of `images`."""
    path, reason = bad[0]
    return DatasetError(
        f"{len(bad)} of {images} images cannot be read, more than --max-bad {max_bad:g} allows "
        f"(first {path}: {reason})",
        "Mend or remove them, or allow more; what was encoded is kept",
    )


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Pillow's warnings about odd files go unheard: what matters of them is in the reasons."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
