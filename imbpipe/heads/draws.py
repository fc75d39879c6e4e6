"""The randomness of a run: a function of its seed, the epoch and the step, and of nothing else.

So a head does not depend on what is trained beside it, on threads, or on the device, and runs of one
seed share initialisation, order and dropout (common random numbers).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbpipe.strategies.plan import Phase
from imbpipe.types import Rows


def epoch_rows(phase: Phase, n: int, seed: int, epoch: int) -> Rows:
    """The rows of one epoch in the order of training: shuffled, or drawn by `probability`."""
    rng = np.random.default_rng([seed, epoch])
    count = n if phase.rows is None else len(phase.rows)
    if phase.probability is not None:
        share = phase.probability / phase.probability.sum()
        return rng.choice(len(share), count, p=share)
    order = rng.permutation(count)
    return order if phase.rows is None else phase.rows[order]


def mask_keys(seed: int, epoch: int, steps: int) -> NDArray[np.int64]:
    """(steps,) one key a step, from which its dropout mask is made."""
    return np.random.SeedSequence([seed, epoch, 1]).generate_state(steps, np.uint64).view(np.int64)


def dropout_masks(keys: Tensor, units: int, batch: int, keep: float, dtype: torch.dtype) -> Tensor:
    """(*keys.shape, units, batch) of 1 with probability `keep` (to 1/65536), else 0; `batch` a multiple of 4.

    Each key is the state of a SplitMix64 generator; each of its numbers decides four entries.
    Source: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", figure 17.
    """
    counter = torch.arange(1, units * batch // 4 + 1, device=keys.device) * -0x61C8864680B583EB
    x = keys[..., None] + counter
    high = torch.empty_like(x)
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        torch.bitwise_right_shift(x, shift, out=high)
        x.bitwise_xor_(high.bitwise_and_((1 << 64 - shift) - 1))
        if factor != 1:
            x.mul_(factor)
    mask = torch.empty(*keys.shape, units * batch, dtype=dtype, device=keys.device)
    torch.lt(x.view(torch.int16), min(round(keep * 65536), 65535) - 32768, out=mask)
    return mask.view(*keys.shape, units, batch)


def part_order(seed: int, epoch: int) -> np.random.Generator:
    """What decides which blocks of a file an epoch trains on together."""
    return np.random.default_rng([seed, epoch, 2])
