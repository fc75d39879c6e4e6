"""Train many heads over features in memory: hundreds in the time of a few."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbpipe.errors import UsageError
from imbpipe.heads.batches import Data
from imbpipe.heads.checks import check
from imbpipe.heads.losses import LOSSES
from imbpipe.heads.network import logits
from imbpipe.heads.pool import workers
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.schedule import schedule
from imbpipe.heads.slices import Slice, group_runs
from imbpipe.heads.train import train_slice
from imbpipe.types import Features, Progress

ROWS = 4096
"""Rows scored at a time."""


@dataclass(frozen=True, eq=False)
class Bank:
    """k trained heads.

    runs: k indices into the runs that were given, in the order of the stacked parameters.
    parameters: hidden.weight (k, h, d) and hidden.bias (k, h) (MLP only), output.weight (k, c, h or d),
        output.bias (k, c), output.scale (k, 1) (cosine only). For heads with other parameters:
        `dataclasses.replace(bank, parameters=...)`.
    softmax: (k,) which heads' scores are a softmax over classes; the others' are sigmoids.
    device: where scores are computed.
    """

    runs: tuple[int, ...]
    parameters: dict[str, NDArray[np.float32]]
    softmax: NDArray[np.bool_]
    device: str = "cpu"

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(k, n, c) for features (n, d)."""
        return self._each_head(features, lambda z, softmax: z)

    def scores(self, features: Features) -> NDArray[np.float32]:
        """(k, n, c) in [0, 1] for features (n, d)."""
        return self._each_head(
            features, lambda z, softmax: torch.softmax(z, 2) if softmax else torch.sigmoid(z)
        )

    def _each_head(self, features: Features, finish: Callable[[Tensor, bool], Tensor]) -> NDArray[np.float32]:
        bias = self.parameters["output.bias"]
        out = np.empty((len(self.runs), len(features), bias.shape[1]), bias.dtype)

        @torch.inference_mode()
        def fill(head: int, start: int) -> None:
            some = slice(start, start + ROWS)
            p = {name: torch.from_numpy(value[head : head + 1]) for name, value in self.parameters.items()}
            p = {name: (value if value.ndim == 3 else value[..., None]) for name, value in p.items()}
            p = {name: value.to(self.device) for name, value in p.items()}
            z = logits(p, as_tensor(features[some], out.dtype).to(self.device))
            out[head, some] = finish(z, bool(self.softmax[head]))[0].cpu().numpy()

        with workers(torch.get_num_threads()) as pool:
            starts = range(0, len(features), ROWS)
            jobs = [pool.submit(fill, head, start) for start in starts for head in range(len(self.runs))]
            for job in jobs:
                job.result()
        return out


def train_heads(
    features: Features,
    labels: NDArray[Any],
    runs: Sequence[Run],
    protocol: Protocol,
    *,
    device: str = "auto",
    memory: int = 2 << 30,
    progress: Progress | None = None,
    class_names: Sequence[str] = (),
) -> Iterator[Bank]:
    """Train one head a run; yield heads in the order in which they are done, a slice at a time.

    A head's parameters depend on its run and the protocol only: not on the other runs and, on a CPU,
    not on the number of threads, bit for bit. Training goes on while the caller looks at a bank; closing
    the iterator stops it.

    features: (N, d), trained in float64 if they are, else in float32. labels: (N, c) bool, or in [0, 1].
    device: "cpu", "cuda", or "auto": CUDA where there is one. On a CPU all of torch's threads work.
    memory: bytes that training may take beside the features and labels.
    progress: called with heads done and heads in all. class_names: for messages.

    Raises, before any training, PlanError (a run cannot be trained: a class without positives, nothing
    to draw, a negative weight, an unknown loss), StoreError (a feature is not finite), UsageError (the
    memory budget is too small, no such device).
    """
    if not runs:
        return iter(())
    check(features, labels, runs, protocol, class_names)
    where = _device(device)
    dtype = np.dtype(np.float64 if features.dtype == np.float64 else np.float32)
    data = Data(as_tensor(features, dtype).to(where), torch.from_numpy(labels.astype(dtype)).to(where))
    slices, at_a_time = schedule(
        group_runs(runs, protocol), runs, data, protocol, memory, torch.get_num_threads()
    )
    return _train(slices, at_a_time, runs, data, protocol, progress)


def _train(
    slices: Sequence[Slice],
    at_a_time: int,
    runs: Sequence[Run],
    data: Data,
    protocol: Protocol,
    progress: Progress | None,
) -> Iterator[Bank]:
    stop = threading.Event()
    done = 0
    with workers(at_a_time) as pool:
        jobs = {pool.submit(train_slice, part, runs, data, protocol, stop.is_set): part for part in slices}
        try:
            for job in as_completed(jobs):
                part = jobs.pop(job)
                done += len(part.runs)
                if progress is not None:
                    progress(done, len(runs))
                yield _bank(part, job.result(), runs, data)
        finally:
            stop.set()


def _bank(part: Slice, trained: Mapping[str, Tensor], runs: Sequence[Run], data: Data) -> Bank:
    own = {name: value.clone(memory_format=torch.contiguous_format) for name, value in trained.items()}
    parameters = {
        name: (value if name.endswith("weight") else value[..., 0]).cpu().numpy()
        for name, value in own.items()
    }
    last = [LOSSES[runs[number].plan.phases[-1].loss].link for number in part.runs]
    softmax = np.array([link == "softmax" for link in last])
    return Bank(part.runs, parameters, softmax, str(data.features.device))


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"no device {name!r}", "Known: auto, cpu, cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("no CUDA device here", "Use the device 'cpu' or 'auto'")
    return torch.device(name)


def as_tensor(array: NDArray[Any], dtype: np.dtype[Any]) -> Tensor:
    """`array` as a tensor on the same memory where its type allows; nothing may write to it."""
    array = np.ascontiguousarray(array, dtype)
    if not array.flags.writeable:  # torch warns of a flag that it cannot keep
        array = np.asarray(_Writeable(array))
    return torch.from_numpy(array)


class _Writeable:
    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}
