"""How many images to encode together: the usual number, or what is fastest here."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from imbpipe.encoders.encoder import Encoder, Lane
from imbpipe.extract.pixels import blank_pixels

if TYPE_CHECKING:
    import torch

USUAL = {"cpu": 16, "cuda": 256}
OTHER = 64
SIZES = {"cpu": (4, 8, 16, 32, 64), "cuda": (64, 128, 256, 512, 1024)}
ENOUGH = 0.97
"""Share of the highest rate that a smaller batch, which wastes less and is safe sooner, may fall short of."""


def usual_batch_size(encoder: Encoder) -> int:
    """Fixed for a kind of device, so that two machines of a kind make the same batches."""
    return USUAL.get(_kind(encoder), OTHER)


def best_batch_size(encoder: Encoder, seconds: float = 4.0) -> int:
    """The smallest batch with at least ENOUGH of the highest rate, tried for about `seconds` in all.

    Sizes that the device has no memory for are passed over.
    """
    import torch

    sizes = SIZES.get(_kind(encoder), SIZES["cpu"])
    rates: dict[int, float] = {}
    for size in sizes:
        try:
            rates[size] = encoding_rate(encoder, size, seconds / len(sizes))
        except torch.OutOfMemoryError:
            break
    if not rates:
        return 1
    return min(size for size, rate in rates.items() if rate >= ENOUGH * max(rates.values()))


def encoding_rate(encoder: Encoder, batch_size: int, seconds: float) -> float:
    """Images a second of the encoder alone, on all its lanes at once, from pixels that lie in memory."""
    blank = blank_pixels(encoder)
    return lanes_rate(encoder.lanes(), blank.expand(batch_size, *blank.shape).contiguous(), seconds)


def lanes_rate(lanes: Sequence[Lane], pixels: "torch.Tensor", seconds: float) -> float:
    """Images a second of these lanes at once, each with a batch like `pixels` (b, 3, h, w) again and again.

    Each encodes one batch that does not count, then others until `seconds` are over.
    """
    import torch

    threads = torch.get_num_threads()
    each = 1 if len(lanes) > 1 else threads
    with ThreadPoolExecutor(len(lanes), initializer=torch.set_num_threads, initargs=(each,)) as pool:
        list(pool.map(lambda lane: lane(pixels), lanes))
        started = time.perf_counter()
        until = started + seconds
        batches = sum(pool.map(lambda lane: _encode_until(until, lane, pixels), lanes))
        taken = time.perf_counter() - started
    torch.set_num_threads(threads)
    return batches * len(pixels) / taken


def _encode_until(until: float, lane: Lane, pixels: "torch.Tensor") -> int:
    batches = 0
    while not batches or time.perf_counter() < until:
        lane(pixels)
        batches += 1
    return batches


def _kind(encoder: Encoder) -> str:
    return encoder.device.partition(":")[0]
