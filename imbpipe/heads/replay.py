"""Steps as a CUDA graph: one launch a chunk in place of a dozen a step."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from imbpipe.heads.batches import Chunk

Steps = Callable[[Chunk, float], None]


class Replay:
    """Runs the steps of chunks. On a GPU the second chunk of a kind is captured, and from then on replayed.

    The first runs as it is, so that libraries and buffers are set up outside of any capture.
    """

    def __init__(self, steps: Steps, device: torch.device) -> None:
        self._steps = steps
        self._captures = device.type == "cuda"
        self.forget()

    def forget(self) -> None:
        """What was captured no longer holds: the losses changed."""
        self._graphs: dict[tuple[int, int, float], _Graph | None] = {}

    def run(self, chunk: Chunk, learning_rate: float) -> None:
        kind = (chunk.groups, chunk.steps, learning_rate)
        if not self._captures or kind not in self._graphs:
            self._graphs[kind] = None
            self._steps(chunk, learning_rate)
            return
        graph = self._graphs[kind] or _Graph(self._steps, chunk, learning_rate)
        self._graphs[kind] = graph
        graph.run(chunk)


class _Graph:
    def __init__(self, steps: Steps, chunk: Chunk, learning_rate: float) -> None:
        own: dict[str, Any] = {name: value.clone() for name, value in _tensors(chunk).items()}
        self._chunk = replace(chunk, **own)
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._graph.capture_begin(capture_error_mode="thread_local")
            steps(self._chunk, learning_rate)
            self._graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)

    def run(self, chunk: Chunk) -> None:
        mine = _tensors(self._chunk)
        for name, value in _tensors(chunk).items():
            mine[name].copy_(value)
        self._graph.replay()


def _tensors(chunk: Chunk) -> dict[str, Tensor]:
    values = {each.name: getattr(chunk, each.name) for each in fields(chunk)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
