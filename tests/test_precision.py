"""How far features of lower precision are from those of float32."""

from pathlib import Path

import numpy as np
import pytest
import torch

from imbpipe.encoders import compute
from imbpipe.encoders.compute import Compute
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.torch_backend import TorchBackend
from imbpipe.errors import WeightsError
from imbpipe.extract.decode import read_bytes
from imbpipe.extract.pixels import pixels_of

openvino_installed = pytest.mark.skipif(not compute.openvino_version(), reason="needs imbpipe[fast]")
NETWORKS = ("resnet18", "timm:test_vit")


@pytest.fixture(scope="module")
def chips(test_data: Path) -> list[bytes]:
    return [read_bytes(path) for path in sorted((test_data / "planet_sample/train").glob("*.jpg"))[:8]]


def encoder_of(name: str, way: Compute):
    if name != "resnet18":
        return load_encoder(name, weights="random", device="cpu", compute=way)
    try:
        return load_encoder(name, device="cpu", compute=way)
    except WeightsError:
        pytest.skip("needs the published weights")


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("backend", ["torch", pytest.param("openvino", marks=openvino_installed)])
def test_bfloat16_changes_features_by_no_more_than_the_help_says(chips, name, backend):
    exact = encoder_of(name, Compute(backend))
    pixels = torch.stack([pixels_of(exact, data) for data in chips])
    found = encoder_of(name, Compute(backend, "bfloat16")).encode(pixels)
    assert 0.9985 < least_cosine(found, exact.encode(pixels)) < 0.99999


@pytest.mark.parametrize("name", NETWORKS)
def test_float16_keeps_the_features_of_float32(chips, name):
    """By the CPU's own float16, too slow for the program to offer, with the arithmetic of a GPU's."""
    exact = encoder_of(name, Compute("torch"))
    pixels = torch.stack([pixels_of(exact, data) for data in chips])
    half = TorchBackend(exact._network, exact._scale, "cpu", "float16")
    assert least_cosine(half.encode(pixels), exact.encode(pixels)) >= 0.9999
