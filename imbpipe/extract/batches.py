"""Reading and preprocessing images in the background, a bounded number of batches ahead."""

import hashlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imbpipe.encoders.encoder import Encoder
from imbpipe.errors import ImageError
from imbpipe.extract.decode import decode, read_bytes
from imbpipe.extract.sink import Batch, FeatureSink

if TYPE_CHECKING:
    import torch

AHEAD = 2


@dataclass(frozen=True)
class Image:
    """One image that was read: SHA-256 of its bytes (empty where unreadable), and why it is bad, if it is."""

    row: int
    path: Path
    digest: bytes
    reason: str


@dataclass(frozen=True, eq=False)
class LoadedBatch:
    """pixels: (batch_size, 3, h, w), zero where an image was not wanted or is bad.

    images: of each wanted place, what came of it.
    """

    pixels: "torch.Tensor"
    images: dict[int, Image]


def load_batches(encoder: Encoder, sink: FeatureSink, workers: int) -> Generator[LoadedBatch, None, None]:
    """The sink's pending batches in order, decoded by `workers` threads up to AHEAD batches ahead.

    Every image is opened once. Each thread computes on one core: threads of their own for every image's
    arithmetic would only be in each other's way.
    """
    import torch
    from PIL.Image import new

    threads = torch.get_num_threads()
    shape = (sink.batch_size, *encoder.preprocess(new("RGB", (64, 64))).shape)
    pool = ThreadPoolExecutor(workers, "imbpipe-decode", initializer=torch.set_num_threads, initargs=(1,))
    started: deque[tuple[torch.Tensor, dict[int, Future[Image]]]] = deque()
    try:
        for batch in sink.pending:
            pixels = torch.zeros(shape, pin_memory=encoder.device.startswith("cuda"))
            started.append((pixels, _start(pool, encoder, batch, pixels)))
            if len(started) > AHEAD:
                yield _finish(*started.popleft())
        while started:
            yield _finish(*started.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _start(
    pool: ThreadPoolExecutor, encoder: Encoder, batch: Batch, pixels: "torch.Tensor"
) -> "dict[int, Future[Image]]":
    return {
        place: pool.submit(_load, encoder, batch.rows[place], batch.paths[place], pixels[place])
        for place, wanted in enumerate(batch.wanted)
        if wanted
    }


def _finish(pixels: "torch.Tensor", jobs: "dict[int, Future[Image]]") -> LoadedBatch:
    return LoadedBatch(pixels, {place: job.result() for place, job in jobs.items()})


def _load(encoder: Encoder, row: int, path: Path, pixels: "torch.Tensor") -> Image:
    """Read one image into its place (3, h, w) of the batch."""
    digest = b""
    try:
        data = read_bytes(path)
        digest = hashlib.sha256(data).digest()
        pixels.copy_(encoder.preprocess(decode(data)))
    except ImageError as error:
        return Image(row, path, digest, str(error))
    return Image(row, path, digest, "")
