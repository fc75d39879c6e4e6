"""Ways to compute the same features: backends, precisions, lanes."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from imbpipe.cli import main
from imbpipe.encoders import compute, openvino_backend, torch_backend
from imbpipe.encoders.architecture import versions
from imbpipe.encoders.compute import Compute, choose_backend
from imbpipe.encoders.frozen import FrozenEncoder
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.weights import Weights
from imbpipe.errors import UsageError
from imbpipe.extract import batch_size
from imbpipe.extract.batch_size import best_batch_size, encoding_rate, usual_batch_size
from imbpipe.extract.pixels import blank_pixels
from imbpipe.extract.spec import compute_of, spec_of

openvino_installed = pytest.mark.skipif(not compute.openvino_version(), reason="needs imbpipe[fast]")

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler (g++)")


def bytes_for(encoder, count: int = 4) -> torch.Tensor:
    shape = (count, *blank_pixels(encoder).shape)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@openvino_installed
@pytest.mark.parametrize("name", ["clip", "resnet18", "timm:test_vit"])
def test_openvino_gives_torchs_features(name):
    torch_encoder = load_encoder(name, weights="random", device="cpu", compute=Compute("torch"))
    encoder = FrozenEncoder(
        name,
        torch_encoder._network,
        torch_encoder._transform,
        weights=torch_encoder.weights,
        identity=torch_encoder.identity,
        device="cpu",
        compute=Compute("openvino"),
    )
    pixels = bytes_for(encoder)
    ours, theirs = encoder.encode(pixels), torch_encoder.encode(pixels)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    own = encoder.preprocess(Image.new("RGB", (300, 200), (90, 200, 30))).unsqueeze(0)
    np.testing.assert_allclose(encoder.encode(own), torch_encoder.encode(own), rtol=1e-3, atol=1e-4)


@needs_compiler
def test_compiled_kernels_give_torchs_features_and_the_same_bits_on_every_lane():
    exact = load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute("torch"))
    encoder = load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute("compiled"))
    pixels = bytes_for(encoder)
    with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = list(pool.map(lambda lane: lane(pixels), [*encoder.lanes()] * 3))
    assert {each.tobytes() for each in found} == {found[0].tobytes()}
    theirs = exact.encode(pixels)
    np.testing.assert_allclose(found[0], theirs, atol=1e-5 * np.abs(theirs).max())
    assert compute_of(spec_of(encoder)) == Compute("compiled")
    assert spec_of(encoder)["encoder"] != spec_of(exact)["encoder"]


def test_a_machine_that_cannot_compile_is_told_so_in_a_line(monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/no/compiler"))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    encoder = load_encoder("timm:test_resnet", weights="random", device="cpu", compute=Compute("compiled"))
    with pytest.raises(UsageError, match=r"torch.compile cannot build \w+ \(.*Give --backend torch"):
        encoder.encode(bytes_for(encoder))


@openvino_installed
def test_openvino_gives_the_same_bits_from_every_thread_and_at_every_call():
    encoder = load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute("openvino"))
    pixels = bytes_for(encoder)
    once = encoder.encode(pixels).tobytes()
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: encoder.encode(pixels).tobytes(), range(9))) == {once}


@openvino_installed
def test_openvino_is_asked_without_its_reports_to_its_makers(monkeypatch):
    import openvino_telemetry

    def report(*arguments, **options):
        raise AssertionError("a report")

    monkeypatch.setattr(openvino_telemetry.Telemetry, "__init__", report)
    monkeypatch.setattr(openvino_telemetry.Telemetry, "send_event", report)
    encoder = load_encoder("timm:test_resnet", weights="random", device="cpu", compute=Compute("openvino"))
    assert encoder.encode(bytes_for(encoder)).shape == (4, encoder.dim)


@openvino_installed
def test_a_network_that_openvino_cannot_run_is_an_error_with_the_remedy():
    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x).flatten(1)

    encoder = FrozenEncoder(
        "odd", Odd(), lambda image: torch.zeros(3, 2, 2), weights=Weights("random", "", ""),
        identity={"preprocess": {}, "versions": versions("torch")}, device="cpu", compute=Compute("openvino"),
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"openvino cannot run Odd .*Give --backend torch"):
        encoder.encode(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_openvino_is_taken_on_a_cpu_where_it_is_installed(monkeypatch, device):
    monkeypatch.setattr(compute, "openvino_version", lambda: "2026.4")
    assert choose_backend(None, device) == ("openvino" if device == "cpu" else "torch")
    assert choose_backend("torch", device) == "torch"
    monkeypatch.setattr(compute, "openvino_version", lambda: "")
    assert choose_backend(None, device) == "torch"


def test_what_cannot_compute_here_is_an_error_with_the_remedy(monkeypatch):
    with pytest.raises(UsageError, match=r"not on 'cuda'.*--device cpu"):
        choose_backend("openvino", "cuda")
    with pytest.raises(UsageError, match=r"float16 computes on GPUs only.*--precision bfloat16"):
        load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute(precision="float16"))
    with pytest.raises(UsageError, match="computes in one way only"):
        load_encoder("mean-colour", compute=Compute(precision="bfloat16"))
    monkeypatch.setattr(compute, "openvino_version", lambda: "")
    with pytest.raises(UsageError, match=r"openvino is not installed.*pip install 'imbpipe"):
        choose_backend("openvino", "cpu")


def test_the_command_tells_what_it_cannot_compute_in_a_line(tmp_path):
    command = ["extract", "--encoder", "resnet18", "--weights", "random", "--device", "cpu"]
    done = CliRunner().invoke(main, [*command, "--precision", "float16", "--cache", str(tmp_path)])
    assert done.exit_code == 2
    assert "Give --precision bfloat16" in done.output


@pytest.mark.parametrize(
    "how",
    [Compute("torch", "bfloat16"), pytest.param(Compute("openvino", "bfloat16"), marks=openvino_installed)],
)
def test_lower_precision_gives_nearly_the_same_features_and_another_key(how):
    encoder = load_encoder("timm:test_vit", weights="random", device="cpu", compute=how)
    exact = load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute(how.backend))
    pixels = bytes_for(encoder)
    found = encoder.encode(pixels)
    assert found.dtype == np.float32
    assert cosines(found, exact.encode(pixels)).min() > 0.998
    assert spec_of(encoder)["precision"] == "bfloat16"
    assert compute_of(spec_of(encoder)) == how


@openvino_installed
def test_the_backend_and_its_version_are_part_of_the_stores_key():
    specs = [
        spec_of(load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute(backend)))
        for backend in ("torch", "openvino")
    ]
    assert [spec["encoder"]["backend"] for spec in specs] == ["torch", "openvino"]
    assert specs[1]["encoder"]["versions"]["openvino"] == compute.openvino_version()
    assert "openvino" not in specs[0]["encoder"]["versions"]


@pytest.mark.parametrize(
    "backend", ["torch", pytest.param("openvino", marks=openvino_installed)],
)  # fmt: skip
def test_an_encoder_on_a_cpu_has_a_lane_a_core(monkeypatch, backend):
    encoder = load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute(backend))
    for module in (torch_backend, openvino_backend):
        monkeypatch.setattr(module, "usable_cores", lambda: 5)
    lanes = encoder.lanes()
    pixels = bytes_for(encoder)
    assert len(lanes) == 5
    assert {lane(pixels).tobytes() for lane in lanes} == {encoder.encode(pixels).tobytes()}


def test_a_gpu_gets_two_lanes_and_cuda_means_every_gpu(monkeypatch):
    """With a CPU in the GPUs' place: streams and copies are what is left out."""
    streams = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: streams.append(device) or len(streams))
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *place, **layout: self)
    backend = torch_backend.TorchBackend(torch.nn.Flatten(), lambda pixels: pixels, "cuda", "bfloat16")
    assert len(backend.lanes()) == 6
    assert streams == ["cuda:0", "cuda:0", "cuda:1", "cuda:1", "cuda:2", "cuda:2"]
    assert [lane.args[0] for lane in backend.lanes()] == streams[:6]
    alone = torch_backend.TorchBackend(torch.nn.Flatten(), lambda pixels: pixels, "cuda:1", "float32")
    assert len(alone.lanes()) == 2


def test_the_usual_batch_is_fixed_for_a_kind_of_device():
    encoder = load_encoder("mean-colour")
    sizes = {}
    for device in ("cpu", "cuda:1", "mps"):
        encoder.device = device
        sizes[device] = usual_batch_size(encoder)
    assert sizes == {"cpu": 16, "cuda:1": 256, "mps": 64}


@pytest.mark.parametrize(
    ("rates", "best"),
    [({4: 50, 8: 98, 16: 100, 32: 99, 64: 97}, 8), ({4: 10, 8: 20, 16: 30, 32: 40, 64: 50}, 64)],
)
def test_the_smallest_batch_that_is_nearly_the_fastest_is_taken(monkeypatch, rates, best):
    monkeypatch.setattr(
        "imbpipe.extract.batch_size.encoding_rate", lambda encoder, size, seconds: rates[size]
    )
    assert best_batch_size(load_encoder("mean-colour")) == best


def test_a_batch_too_large_for_the_memory_is_passed_over(monkeypatch):
    def rate(encoder, size, seconds):
        if size > 8:
            raise torch.OutOfMemoryError("no memory")
        return size

    monkeypatch.setattr(batch_size, "encoding_rate", rate)
    assert best_batch_size(load_encoder("mean-colour")) == 8


def test_a_rate_is_measured_on_every_lane_and_leaves_torchs_threads_alone():
    before, seen = torch.get_num_threads(), []
    encoder = load_encoder("mean-colour")
    encoder.lanes = lambda: tuple(lambda pixels, n=n: seen.append(n) for n in range(3))
    assert encoding_rate(encoder, 2, 0.01) > 0
    assert {*seen} == {0, 1, 2}
    assert torch.get_num_threads() == before
