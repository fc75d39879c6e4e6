"""What is encoded and how, as the store's key sees it."""

from collections.abc import Mapping
from typing import Any

from imbpipe.encoders.compute import Compute
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.resize import BY_LIBRARY
from imbpipe.extract.pixels import decode_policy

EXTRACTOR_VERSION = 1
"""Counted up whenever a change of this package changes a feature."""


def spec_of(encoder: Encoder, dtype: str = "float32") -> dict[str, Any]:
    """Everything that changes a number of the features, as JSON values.

    The encoder's identity with every field of its preprocessing; `weights`: "pretrained", "file" or
    "random", and the hash of the tensors; how images are decoded; the precision of the arithmetic;
    `dtype` as stored; the dimension.
    """
    return {
        "encoder": dict(encoder.identity),
        "weights": encoder.weights.kind,
        "weights_sha256": encoder.weights.sha256,
        "decode": decode_policy(encoder),
        "precision": encoder.precision,
        "dtype": dtype,
        "dim": encoder.dim,
        "extractor": EXTRACTOR_VERSION,
    }


def compute_of(spec: Mapping[str, Any]) -> Compute:
    """How the features of this spec were computed, to compute them again."""
    resized = spec["encoder"].get("preprocess", {}).get("resized_by")
    return Compute(
        backend=spec["encoder"].get("backend"),
        precision=spec["precision"],
        preprocess="exact" if resized == BY_LIBRARY else "fast",
    )
