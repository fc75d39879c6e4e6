"""What an encoder is, for those who do not have it in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imbpipe.encoders.encoder import Encoder, Weights
from imbpipe.encoders.text import TextEncoder
from imbpipe.extract.batch_size import best_batch_size, usual_batch_size
from imbpipe.extract.spec import spec_of


@dataclass(frozen=True)
class Description:
    """spec: as `spec_of`. batch_size: images to encode together where nothing else is said.

    reads: whether it encodes captions too. The others: as `Encoder` has them.
    """

    name: str
    weights: Weights
    device: str
    spec: Mapping[str, Any]
    batch_size: int
    reads: bool


def describe(encoder: Encoder, dtype: str, batch_size: int | Literal["auto"] | None = None) -> Description:
    """batch_size: None takes the device's usual one; "auto" measures for seconds which is fastest here."""
    if batch_size == "auto":
        batch_size = best_batch_size(encoder)
    return Description(
        name=encoder.name,
        weights=encoder.weights,
        device=encoder.device,
        spec=spec_of(encoder, dtype),
        batch_size=batch_size or usual_batch_size(encoder),
        reads=isinstance(encoder, TextEncoder),
    )
