"""What is encoded and how, as the store's key sees it."""

from typing import Any

from imbpipe.encoders.encoder import Encoder
from imbpipe.extract.decode import DECODE_POLICY

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
        "decode": DECODE_POLICY,
        "precision": "float32",
        "dtype": dtype,
        "dim": encoder.dim,
        "extractor": EXTRACTOR_VERSION,
    }
