"""Encoding with torch: on the CPU's cores, on each GPU, or on whatever else torch knows."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.compute import Precision
from imbpipe.encoders.cores import usable_cores
from imbpipe.encoders.encoder import Lane
from imbpipe.errors import UsageError
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch

Network = Callable[["torch.Tensor"], "torch.Tensor"]

LANES_A_GPU = 2
"""While one batch is computed, another is copied."""


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """IEEE float32 and the same result each time. A setting of the whole program: hold it around threads."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


class TorchBackend:
    """Runs a frozen network, (b, 3, h, w) float32 to (b, d).

    scale: what turns the pixels that are handed over into the network's, on the device.
    """

    def __init__(
        self, network: "torch.nn.Module", scale: "Callable[[torch.Tensor], torch.Tensor]",
        device: str, precision: Precision,
    ) -> None:  # fmt: skip
        self._scale = scale
        self._precision = precision
        self._networks: dict[str, Network] = {
            name: _place(network, name, count) for count, name in enumerate(_all(device))
        }

    def compile(self) -> None:
        """From now on by kernels that `torch.compile` makes, at the first batch of each size."""
        self._networks = {name: _compiled(network) for name, network in self._networks.items()}

    def lanes(self) -> tuple[Lane, ...]:
        """One a core, two a GPU, each with a stream of its own."""
        import torch

        found: list[Lane] = []
        for device in self._networks:
            if device == "cpu":
                found += [self.encode] * usable_cores()
            elif device.startswith("cuda"):
                found += [
                    partial(self._run, device, stream=torch.cuda.Stream(device)) for _ in range(LANES_A_GPU)
                ]
            else:
                found.append(self.encode)
        return tuple(found)

    def encode(self, pixels: "torch.Tensor") -> Features:
        """On the first of the devices."""
        return self._run(next(iter(self._networks)), pixels)

    def _run(self, device: str, pixels: "torch.Tensor", stream: Any = None) -> Features:
        import torch

        kind = device.partition(":")[0]
        lower = self._precision != "float32"
        autocast = torch.autocast(kind, getattr(torch, self._precision)) if lower else nullcontext()
        on_stream = torch.cuda.stream(stream) if stream is not None else nullcontext()
        with torch.inference_mode(), exact_arithmetic(), on_stream, autocast:
            features = self._networks[device](self._scale(pixels.to(device, non_blocking=True)))
            return features.float().cpu().numpy()


def _all(device: str) -> list[str]:
    """ "cuda" is every GPU that there is, "cuda:1" that one."""
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if device == "cuda" else [device]


def _place(network: "torch.nn.Module", device: str, count: int) -> "torch.nn.Module":
    """The network itself on the first device, copies on others, in the layout that convolutions prefer."""
    import torch

    placed = (copy.deepcopy(network) if count else network).to(device)
    channels_last = device.partition(":")[0] in ("cpu", "cuda")
    return placed.to(memory_format=torch.channels_last) if channels_last else placed


def _compiled(network: Network) -> Network:
    """The same by kernels of its own. Raises UsageError, when called: they cannot be made here."""
    import torch
    from torch._dynamo.exc import TorchDynamoException

    call = torch.compile(network, dynamic=False)

    def run(pixels: "torch.Tensor") -> "torch.Tensor":
        try:
            return call(pixels)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise UsageError(
                f"torch.compile cannot build {type(network).__name__} ({reason})",
                "Give --backend torch, or install a C++ compiler (g++)",
            ) from None

    return run
