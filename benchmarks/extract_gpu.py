"""Encoding on a GPU: `python benchmarks/extract_gpu.py [--encoder clip] [--device cuda]`.

For each precision, in images a second: the ceiling, which is the most that the encoder alone reaches on
pixels resident on the device, over batch sizes, on all its lanes (the streams of a GPU, the cores of a
CPU); the same fed from memory in the pipeline's batches, copies included; reading and decoding alone on all
cores; and the whole pipeline. What limits is the slowest of the three; on a CPU decoding takes its time
from the encoder's, and the most that can be reached is less than either. With the smallest cosine to
float32's features. Random weights, images of 256 x 256. `compiled` is the ceiling through torch.compile, to
see whether it would pay.
"""

import argparse
import platform
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extraction import images
from record import keep

from imbpipe.cache.fill import fill
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.encoders.compute import Compute
from imbpipe.encoders.cores import usable_cores
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.load import load_encoder
from imbpipe.extract.batch_size import SIZES, encoding_rate, lanes_rate, usual_batch_size
from imbpipe.extract.pixels import blank_pixels, pixels_of

PUBLISHED = 1500
"""Images a second of clip-retrieval with ViT-B/32 on an RTX 3080, as its README says."""


def resident_rates(encoder: Encoder, seconds: float) -> dict[int, float]:
    """By batch size, as far as the device's memory reaches."""
    blank = blank_pixels(encoder).to(encoder.device)
    rates = {}
    for size in SIZES.get(encoder.device.partition(":")[0], SIZES["cpu"]):
        try:
            pixels = blank.expand(size, *blank.shape).contiguous()
            rates[size] = lanes_rate(encoder.lanes(), pixels, seconds)
        except torch.OutOfMemoryError:
            break
    return rates


def decoding_rate(encoder: Encoder, paths: list[Path]) -> float:
    """Images a second of all cores, from files to the network's pixels."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(usable_cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        started = time.perf_counter()
        for _ in pool.map(lambda path: pixels_of(encoder, path.read_bytes()), paths):
            pass
        rate = len(paths) / (time.perf_counter() - started)
    torch.set_num_threads(threads)
    return rate


def pipeline(encoder: Encoder, paths: list[Path], size: int) -> float:
    """Images a second up to the last synced row."""
    labels = np.ones((len(paths), 1), dtype=bool)
    data = Dataset("bench", tuple(p.stem for p in paths), tuple(paths), labels, ("all",), "multi-label")
    with tempfile.TemporaryDirectory() as cache:
        done = fill(FeatureStore(cache), data, encoder, batch_size=size)
    return done.encoded / done.seconds


def cosine(encoder: Encoder, exact: Encoder, paths: list[Path]) -> float:
    pixels = torch.stack([pixels_of(exact, path.read_bytes()) for path in paths[:32]])
    a, b = encoder.encode(pixels), exact.encode(pixels)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def compiled_ceiling(encoder: Any, seconds: float) -> float:
    """Of the largest batch alone: each size is compiled anew."""
    backend = encoder._backend
    backend._networks = {name: torch.compile(network) for name, network in backend._networks.items()}
    blank = blank_pixels(encoder).to(encoder.device)
    pixels = blank.expand(usual_batch_size(encoder), *blank.shape).contiguous()
    return lanes_rate(encoder.lanes(), pixels, seconds)


def measure(options: argparse.Namespace, precision: Any, paths: list[Path]) -> dict[str, Any]:
    def load(wanted: Any) -> Any:
        way = Compute("torch", wanted)
        return load_encoder(options.encoder, weights="random", device=options.device, compute=way)

    encoder = load(precision)
    size = usual_batch_size(encoder)
    found: dict[str, Any] = {
        "batch_size": size,
        "pipeline": pipeline(encoder, paths, size),
        "resident": resident_rates(encoder, options.seconds),
        "from_memory": encoding_rate(encoder, size, options.seconds),
        "decoding": decoding_rate(encoder, paths),
        "cosine_to_float32": cosine(encoder, load("float32"), paths),
    }
    found["ceiling"] = max(found["resident"].values())
    stages = {"encoder": found["ceiling"], "copy": found["from_memory"], "decode": found["decoding"]}
    if encoder.device == "cpu":  # nothing is copied, and one stage's time is not the other's
        del stages["copy"]
        found["reachable"] = 1 / (1 / found["ceiling"] + 1 / found["decoding"])
    else:
        found["reachable"] = min(stages.values())
    found["limit"] = min(stages, key=stages.__getitem__)
    found |= {f"share_of_{what}": found["pipeline"] / found[what] for what in ("ceiling", "reachable")}
    if not options.no_compile:
        found["compiled"] = compiled_ceiling(encoder, options.seconds)
    return found


def show(precision: str, row: dict[str, Any]) -> None:
    best = max(row["resident"], key=row["resident"].__getitem__)
    compiled = f"; compiled {row['compiled']:.0f}/s" if "compiled" in row else ""
    print(
        f"{precision}: {row['pipeline']:.0f} images/s\n"
        f"  encoder alone {row['ceiling']:.0f}/s at best (batches of {best}){compiled}: "
        f"{row['share_of_ceiling']:.0%} of it\n"
        f"  from memory {row['from_memory']:.0f}/s (batches of {row['batch_size']}), decoding "
        f"{row['decoding']:.0f}/s on {usable_cores()} cores: limited by {row['limit']}, "
        f"{row['share_of_reachable']:.0%} of the {row['reachable']:.0f}/s that can be reached\n"
        f"  cosine to float32's features at least {row['cosine_to_float32']:.6f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", default="clip")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement of the encoder alone")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    gpu = torch.cuda.get_device_name() if cuda else platform.processor() or "CPU"
    print(f"{options.encoder} on {gpu}, {usable_cores()} cores")
    report: dict[str, Any] = {"device": gpu, "cores": usable_cores(), "encoder": options.encoder}
    with tempfile.TemporaryDirectory() as folder:
        paths = images.write(Path(folder), images.jpegs("256x256"), options.images)
        for precision in ("float32", "bfloat16", *(("float16",) if cuda else ())):
            report[precision] = measure(options, precision, paths)
            show(precision, report[precision])
    if options.encoder == "clip":
        best = max(row["pipeline"] for row in report.values() if isinstance(row, dict))
        print(f"clip-retrieval on an RTX 3080, as published: {PUBLISHED}/s; here x{best / PUBLISHED:.2f}")
    if cuda:
        keep("extract_gpu", report)


if __name__ == "__main__":
    main()
