"""Encoders that place captions beside images."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from imbpipe.encoders.architecture import TextTower
from imbpipe.encoders.encoder import Weights
from imbpipe.encoders.frozen import FrozenEncoder
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

AT_ONCE = 64
"""Captions encoded together."""


@runtime_checkable
class TextEncoder(Protocol):
    """What an `Encoder` has besides if it encodes captions too."""

    def encode_text(self, prompts: Sequence[str]) -> Features:
        """(p, dim) float32 of p captions, not normalised, to be compared with images by the cosine."""

    def text_identity(self) -> Mapping[str, Any]:
        """Everything but the captions that changes a number of it, as JSON values."""


class ReadingEncoder(FrozenEncoder):
    """A `FrozenEncoder` with a text tower, which is built when it is first asked for."""

    def __init__(
        self,
        name: str,
        network: "torch.nn.Module",
        transform: "Callable[[Image], torch.Tensor]",
        tower: TextTower,
        build: "Callable[[], tuple[torch.nn.Module, Weights]]",
        **image: Any,
    ) -> None:
        """build: the tower's network and weights. image: as FrozenEncoder takes it."""
        super().__init__(name, network, transform, **image)
        self._tower, self._build = tower, build

    @cached_property
    def _text(self) -> "tuple[torch.nn.Module, Weights]":
        """Raises WeightsError: the weights hold no text tower, or another one."""
        network, weights = self._build()
        return network.float().eval().requires_grad_(False).to(self.device), weights

    def encode_text(self, prompts: Sequence[str]) -> Features:
        """(p, dim) float32 of p captions, not normalised."""
        import torch

        network, _ = self._text
        found = []
        with torch.inference_mode():
            for start in range(0, len(prompts), AT_ONCE):
                tokens = self._tower.tokenize(prompts[start : start + AT_ONCE])
                found.append(network(tokens.to(self.device)).cpu().numpy())
        return np.concatenate(found)

    def text_identity(self) -> Mapping[str, Any]:
        """The tower and the hash of its weights."""
        return {**self._tower.identity, "weights_sha256": self._text[1].sha256}
