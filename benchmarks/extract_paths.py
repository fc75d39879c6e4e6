"""Ways to compute the networks on a CPU: `python benchmarks/extract_paths.py [--encoder resnet18|clip]`.

Images a second of the network alone, from float32 pixels in memory, batches of 16, on all cores: by one
call on all of them, and by a call a core side by side; the faster counts. And the smallest cosine to what
eager torch gives in float32. Weights of ResNet-18 are the published ones where they are to be had, else
random. ONNX Runtime is measured where `pip install onnxruntime onnx onnxscript` was run, torch.compile
where there is a C++ compiler.
"""

import argparse
import copy
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extraction import images
from extraction.cosine import smallest_cosine
from extraction.peers import write_weights
from record import keep_part

from imbpipe.encoders.compute import Compute, openvino_version
from imbpipe.encoders.cores import usable_cores
from imbpipe.encoders.load import load_encoder
from imbpipe.extract.pixels import pixels_of

BATCH = 16
ROUNDS = 3
Call = Callable[[torch.Tensor], Any]


def paths(encoder: Any, example: torch.Tensor) -> dict[str, Callable[[bool], Call]]:
    """Name -> what makes a function of pixels; its argument says whether a core alone is to run it."""
    network = encoder._network

    def copied() -> torch.nn.Module:
        return copy.deepcopy(network).to(memory_format=torch.contiguous_format)

    def eager(_: bool) -> Call:
        return copied()

    def channels_last(_: bool) -> Call:
        return copied().to(memory_format=torch.channels_last)

    def fused(_: bool) -> Call:
        from torch.fx.experimental.optimization import fuse

        return fuse(copied()).to(memory_format=torch.channels_last)

    def compiled(_: bool) -> Call:
        return torch.compile(channels_last(True))

    def autocast(_: bool) -> Call:
        placed = channels_last(True)

        def call(pixels: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return placed(pixels).float()

        return call

    def onnx_runtime(single: bool) -> Call:
        import onnxruntime

        torch.backends.mha.set_fastpath_enabled(False)  # or attention is one operator that ONNX does not know
        file = io.BytesIO()
        torch.onnx.export(copied(), (example[:1],), file, input_names=["pixels"], dynamo=False,
                          dynamic_axes={"pixels": {0: "batch"}})  # fmt: skip
        torch.backends.mha.set_fastpath_enabled(True)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1 if single else usable_cores()
        session = onnxruntime.InferenceSession(file.getvalue(), settings)
        return lambda pixels: torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])

    def openvino(precision: Any) -> Callable[[bool], Call]:
        from imbpipe.encoders.openvino_backend import OpenVinoBackend

        backend = OpenVinoBackend(network, lambda pixels: pixels, precision)
        return lambda _: lambda pixels: torch.from_numpy(backend.encode(pixels))

    found: dict[str, Callable[[bool], Call]] = {
        "eager": eager, "channels_last": channels_last, "fused conv-bn": fused,
        "torch.compile": compiled, "ONNX Runtime": onnx_runtime, "bfloat16 autocast": autocast,
    }  # fmt: skip
    if openvino_version():
        found |= {"OpenVINO": openvino("float32"), "OpenVINO bfloat16": openvino("bfloat16")}
    return found


def rate(call: Call, pixels: torch.Tensor, seconds: float, *, lanes: int) -> float:
    """Images a second of so many calls side by side, the cores shared out among them."""
    threads = torch.get_num_threads()
    each = max(1, usable_cores() // lanes)
    with ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(each,)) as pool:
        list(pool.map(lambda _: _run(call, pixels), range(lanes)))
        started = time.perf_counter()
        batches = sum(pool.map(lambda _: _until(started + seconds, call, pixels), range(lanes)))
        found = batches * len(pixels) / (time.perf_counter() - started)
    torch.set_num_threads(threads)
    return found


def _until(end: float, call: Call, pixels: torch.Tensor) -> int:
    batches = 0
    while time.perf_counter() < end:
        _run(call, pixels)
        batches += 1
    return batches


def _run(call: Call, pixels: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return call(pixels).numpy()


def measure(name: str, seconds: float) -> dict[str, dict[str, float]]:
    """All paths in turn, ROUNDS times; medians."""
    with tempfile.TemporaryDirectory() as folder:
        weights = write_weights(name, Path(folder))
        encoder = load_encoder(name, weights=weights, device="cpu", compute=Compute("torch"))
    contents = images.jpegs("256x256", BATCH)
    pixels = encoder._scale(torch.stack([pixels_of(encoder, data) for data in contents]))
    exact = _run(copy.deepcopy(encoder._network), pixels)
    ready: dict[str, dict[int, Call]] = {}
    cosines: dict[str, float] = {}
    for way, make in paths(encoder, pixels).items():
        try:
            calls = {1: make(False), usable_cores(): make(True)}
            features = _run(calls[1], pixels)
        except Exception as error:  # not installed, no compiler, not for this network
            print(f"{name}: {way} is left out ({type(error).__name__}: {str(error).splitlines()[0][:100]})")
            continue
        ready[way], cosines[way] = calls, smallest_cosine(features, exact)
    rates: dict[str, dict[str, list[float]]] = {way: {} for way in ready}
    for _ in range(ROUNDS):
        for way, calls in ready.items():
            for lanes, call in calls.items():
                rates[way].setdefault(f"lanes_{lanes}", []).append(rate(call, pixels, seconds, lanes=lanes))
    rows = {way: {lanes: statistics.median(each) for lanes, each in by.items()} for way, by in rates.items()}
    best = {way: max(row.values()) for way, row in rows.items()}
    return {
        way: row | {"images_s": best[way], "times_eager": best[way] / best["eager"], "cosine": cosines[way]}
        for way, row in rows.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", choices=["resnet18", "clip"], help="this one alone")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each of the measurements")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    for name in [options.encoder] if options.encoder else ["resnet18", "clip"]:
        rows = measure(name, options.seconds)
        print(f"\n{name:18} images/s  x eager  one call, all cores  a call a core  smallest cosine")
        for way, row in rows.items():
            print(
                f"{way:18} {row['images_s']:8.1f} {row['times_eager']:8.2f} {row['lanes_1']:20.1f} "
                f"{row[f'lanes_{usable_cores()}']:14.1f} {row['cosine']:16.6f}",
                flush=True,
            )
        keep_part("extract_paths", name, {"images": images.kind(), **rows})


if __name__ == "__main__":
    main()
