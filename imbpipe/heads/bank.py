"""Train many heads over features in memory, or in a file that is larger: hundreds in the time of a few."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbpipe.cache.stored import StoredFeatures, blocks
from imbpipe.errors import UsageError
from imbpipe.heads.batches import Data
from imbpipe.heads.buffer import buffered
from imbpipe.heads.checks import check
from imbpipe.heads.losses import LOSSES
from imbpipe.heads.network import logits
from imbpipe.heads.pool import workers
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.schedule import schedule
from imbpipe.heads.slices import Slice, group_runs
from imbpipe.heads.train import train_slice
from imbpipe.types import Features, FeatureSource, Progress, Rows

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

    def logits(self, features: FeatureSource) -> NDArray[np.float32]:
        """(k, n, c) for features (n, d)."""
        return self._each_head(features, lambda z, softmax: z)

    def scores(self, features: FeatureSource) -> NDArray[np.float32]:
        """(k, n, c) in [0, 1] for features (n, d)."""
        return self._each_head(
            features, lambda z, softmax: torch.softmax(z, 2) if softmax else torch.sigmoid(z)
        )

    def _each_head(
        self, features: FeatureSource, finish: Callable[[Tensor, bool], Tensor]
    ) -> NDArray[np.float32]:
        bias = self.parameters["output.bias"]
        out = np.empty((len(self.runs), len(features), bias.shape[1]), bias.dtype)

        @torch.inference_mode()
        def fill(head: int, rows: Rows | slice, block: Features) -> None:
            p = {name: torch.from_numpy(value[head : head + 1]) for name, value in self.parameters.items()}
            p = {name: (value if value.ndim == 3 else value[..., None]) for name, value in p.items()}
            p = {name: value.to(self.device) for name, value in p.items()}
            z = logits(p, as_tensor(block, out.dtype).to(self.device))
            out[head, rows] = finish(z, bool(self.softmax[head]))[0].cpu().numpy()

        threads = torch.get_num_threads()
        with workers(threads) as pool:
            waiting: deque[list[Future[None]]] = deque()
            for rows, block in blocks(features, ROWS):
                waiting.append([pool.submit(fill, head, rows, block) for head in range(len(self.runs))])
                if len(waiting) > threads:  # so that no more blocks are read than are worked on
                    _ = [job.result() for job in waiting.popleft()]
            _ = [job.result() for jobs in waiting for job in jobs]
        return out


def train_heads(
    features: FeatureSource,
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

    features: (N, d), trained in float64 if they are, else in float32; stored ones are read in shuffled
        blocks (see `stream`), and heads then depend also on their `memory`, and on how many threads share it.
    labels: (N, c) bool, or in [0, 1].
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
    data = _data(features, dtype, protocol, torch.from_numpy(labels.astype(dtype)).to(where))
    threads = torch.get_num_threads() if data.buffered is None else data.buffered.workers
    slices, at_a_time = schedule(group_runs(runs, protocol), runs, data, protocol, memory, threads)
    return _train(slices, at_a_time, runs, data, protocol, progress)


def _data(features: FeatureSource, dtype: np.dtype[Any], protocol: Protocol, labels: Tensor) -> Data:
    if not isinstance(features, StoredFeatures):
        return Data(as_tensor(features[:], dtype).to(labels.device), labels)
    workers = 1 if labels.device.type == "cuda" else torch.get_num_threads()
    none = labels.new_empty(0, features.shape[1])
    return Data(none, labels, buffered(features, workers, protocol.batch_size))


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
