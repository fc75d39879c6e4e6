"""Reading and preprocessing images in the background, and encoding several batches side by side."""

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imbpipe.encoders.encoder import Encoder
from imbpipe.errors import ImageError
from imbpipe.extract.decode import read_bytes
from imbpipe.extract.pixels import blank_pixels, pixels_of
from imbpipe.extract.sink import Batch, FeatureSink
from imbpipe.extract.workers import Workers
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch

AHEAD = 2
"""Batches that wait, read or being read, beside those that are being encoded."""
AT_ONCE, JOBS_A_BATCH = 4, 16
"""Images that a thread reads one after the other, so that handing over costs little: as many at least, and as
many as make a batch in so many jobs."""


@dataclass(frozen=True)
class Image:
    """One image that was read: SHA-256 of its bytes (empty where unreadable), and why it is bad, if it is."""

    row: int
    path: Path
    digest: bytes
    reason: str


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """images: of each wanted place, what came of it.

    features: (batch_size, dim), to be used where an image was wanted and is good; None where none is.
    waited: seconds that encoding waited for the images.
    """

    images: dict[int, Image]
    features: Features | None
    waited: float


class Encoding:
    """A context in which batches are read, decoded and encoded ahead of whoever iterates over them.

    Each image is opened once. On a CPU each thread computes on one core: threads of their own for every
    image's or batch's arithmetic would only be in each other's way. A batch is computed as a whole by one
    lane, so which lane, and how many there are, changes no bit.

    workers: threads that read and decode; None: as `Workers` finds out.
    waited: seconds that the lanes waited for images, all together.
    """

    def __init__(self, encoder: Encoder, sink: FeatureSink, workers: int | None = None) -> None:
        import torch

        self.waited = 0.0
        self._encoder, self._sink = encoder, sink
        self._workers = Workers(workers, shares_cores=encoder.device == "cpu")
        self._lanes = encoder.lanes()
        self._free = deque(self._lanes)
        self._buffers: deque[torch.Tensor] = deque()
        self._threads = torch.get_num_threads()
        each = 1 if len(self._lanes) > 1 else self._threads
        self._encoders = ThreadPoolExecutor(
            len(self._lanes), "imbpipe-encode", torch.set_num_threads, initargs=(each,)
        )
        self._encoders.submit(torch.get_num_threads).result()  # a thread keeps the number it asked for first
        self._readers = ThreadPoolExecutor(
            self._workers.most, "imbpipe-decode", torch.set_num_threads, initargs=(1,)
        )

    @property
    def waiting(self) -> float:
        """Seconds that a lane has waited for images, on average."""
        return self.waited / len(self._lanes)

    def __enter__(self) -> "Encoding":
        """The thread that hands batches out computes on one core too: its helpers wait at full speed."""
        import torch

        torch.set_num_threads(1)
        return self

    def __exit__(self, *error: object) -> None:
        import torch

        self._readers.shutdown(wait=False, cancel_futures=True)
        self._encoders.shutdown(cancel_futures=True)
        self._readers.shutdown()
        torch.set_num_threads(self._threads)

    def __iter__(self) -> Iterator[EncodedBatch]:
        """The sink's pending batches in order, never more than AHEAD beside those being encoded in memory."""
        blank = blank_pixels(self._encoder)
        at_once = max(AT_ONCE, self._sink.batch_size // JOBS_A_BATCH)
        started: deque[Future[EncodedBatch]] = deque()
        for batch in self._sink.pending:
            started.append(self._start(batch, blank, at_once))
            if len(started) >= len(self._lanes) + AHEAD:
                yield self._finish(started.popleft())
        while started:
            yield self._finish(started.popleft())

    def _start(self, batch: Batch, blank: "torch.Tensor", at_once: int) -> "Future[EncodedBatch]":
        pixels = self._buffers.popleft() if self._buffers else self._buffer(blank)
        wanted = [place for place, is_wanted in enumerate(batch.wanted) if is_wanted]
        jobs = [
            self._readers.submit(self._load, batch, wanted[start : start + at_once], pixels)
            for start in range(0, len(wanted), at_once)
        ]
        return self._encoders.submit(self._encode, pixels, jobs)

    def _buffer(self, blank: "torch.Tensor") -> "torch.Tensor":
        """(batch_size, 3, h, w), laid out pixel after pixel, as images are decoded and networks prefer them.

        It is used again for later batches: fresh memory costs more than decoding an image leaves time for.
        """
        import torch

        return torch.empty(
            (self._sink.batch_size, *blank.shape),
            dtype=blank.dtype,
            memory_format=torch.channels_last,
            pin_memory=self._encoder.device.startswith("cuda"),
        )

    def _finish(self, future: "Future[EncodedBatch]") -> EncodedBatch:
        batch = future.result()
        self.waited += batch.waited
        self._workers.look(self.waiting)
        return batch

    def _load(self, batch: Batch, places: list[int], pixels: "torch.Tensor") -> dict[int, Image]:
        """Read some images, each into its place of the batch's pixels (b, 3, h, w)."""
        with self._workers.slot():
            return {
                place: _read(self._encoder, batch.rows[place], batch.paths[place], pixels[place])
                for place in places
            }

    def _encode(self, pixels: "torch.Tensor", jobs: "list[Future[dict[int, Image]]]") -> EncodedBatch:
        started = time.monotonic()
        images = {place: image for job in jobs for place, image in job.result().items()}
        waited = time.monotonic() - started
        good = {place for place, image in images.items() if not image.reason}
        lane = self._free.pop()
        try:
            if good:
                pixels[[place for place in range(len(pixels)) if place not in good]] = 0
            features = np.array(lane(pixels)) if good else None  # never a view: the pixels are used again
            return EncodedBatch(images, features, waited)
        finally:
            self._free.append(lane)
            self._buffers.append(pixels)


def _read(encoder: Encoder, row: int, path: Path, pixels: "torch.Tensor") -> Image:
    """Read one image into `pixels` (3, h, w)."""
    digest = b""
    try:
        data = read_bytes(path)
        digest = hashlib.sha256(data).digest()
        pixels.copy_(pixels_of(encoder, data))
    except ImageError as error:
        return Image(row, path, digest, str(error))
    return Image(row, path, digest, "")
