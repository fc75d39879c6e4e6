"""Encoding on a GPU: `python benchmarks/extract_gpu.py [--encoder clip] [--device cuda]`.

For each way to compute, in images a second: the ceiling, which is the most that the encoder alone reaches on
pixels resident on the device, over batch sizes, on all its lanes (the streams of a GPU, the cores of a CPU);
the same fed from memory in the pipeline's batches, copies included; reading and decoding alone on all cores;
and the whole pipeline, up to the last synced row. What limits is the slowest of the three; on a CPU decoding
takes its time from the encoder's, and the most that can be reached is less than either. With the smallest
cosine to float32's features. The fastest way is tried on larger images too. Random weights.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extraction import images
from extraction.cosine import smallest_cosine
from record import check, keep_part

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
Row = dict[str, Any]


def ways(device: str) -> list[Compute]:
    """Kernels are compiled anew for each size of a batch; float32 has them made by cuDNN as they are."""
    lower = ("bfloat16", "float16") if device.startswith("cuda") else ("bfloat16",)
    eager = [Compute("torch", precision) for precision in ("float32", *lower)]
    return eager + [Compute("compiled", precision) for precision in lower]


def resident_rates(encoder: Encoder, sizes: Sequence[int], seconds: float) -> dict[int, float]:
    """By batch size, as far as the device's memory reaches."""
    blank = blank_pixels(encoder).to(encoder.device)
    rates = {}
    for size in sizes:
        try:
            pixels = blank.expand(size, *blank.shape).contiguous(memory_format=torch.channels_last)
            rates[size] = lanes_rate(encoder.lanes(), pixels, seconds)
        except torch.OutOfMemoryError:
            break
    return rates


def decoding_rate(encoder: Encoder, paths: Sequence[Path]) -> float:
    """Images a second of all cores, from files to the network's pixels."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(usable_cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        started = time.perf_counter()
        for _ in pool.map(lambda path: pixels_of(encoder, path.read_bytes()), paths):
            pass
        rate = len(paths) / (time.perf_counter() - started)
    torch.set_num_threads(threads)
    return rate


def pipeline(encoder: Encoder, paths: Sequence[Path], size: int) -> float:
    """Images a second up to the last synced row."""
    labels = np.ones((len(paths), 1), dtype=bool)
    data = Dataset("bench", tuple(p.stem for p in paths), tuple(paths), labels, ("all",), "multi-label")
    with tempfile.TemporaryDirectory() as cache:
        done = fill(FeatureStore(cache), data, encoder, batch_size=size)
    return done.encoded / done.seconds


def measure(encoder: Encoder, exact: Encoder, way: Compute, paths: Sequence[Path], seconds: float) -> Row:
    usual = usual_batch_size(encoder)
    all_sizes = SIZES.get(encoder.device.partition(":")[0], SIZES["cpu"])
    resident = resident_rates(encoder, (usual,) if way.backend == "compiled" else all_sizes, seconds)
    pixels = torch.stack([pixels_of(exact, path.read_bytes()) for path in paths[:32]])
    row: Row = {
        "batch_size": usual,
        "resident": resident,
        "ceiling": max(resident.values()),
        "from_memory": encoding_rate(encoder, usual, seconds),
        "cosine_to_float32": smallest_cosine(encoder.encode(pixels), exact.encode(pixels)),
    }
    return row | fed(encoder, row, paths)


def fed(encoder: Encoder, row: Row, paths: Sequence[Path]) -> Row:
    """How much of what this encoder can do comes out, given these files."""
    found = {
        "pipeline": pipeline(encoder, paths, row["batch_size"]),
        "decoding": decoding_rate(encoder, paths),
    }
    stages = {"encoder": row["ceiling"], "copy": row["from_memory"], "decode": found["decoding"]}
    if encoder.device == "cpu":  # nothing is copied, and one stage's time is not the other's
        del stages["copy"]
        found["reachable"] = 1 / (1 / row["ceiling"] + 1 / found["decoding"])
    else:
        found["reachable"] = min(stages.values())
    limit = min(stages, key=stages.__getitem__)
    shares = {f"share_of_{of}": found["pipeline"] / (row | found)[of] for of in ("ceiling", "reachable")}
    return found | shares | {"limit": limit}


def show(name: str, row: Row) -> None:
    best = max(row["resident"], key=row["resident"].__getitem__)
    print(
        f"{name}: encoder alone {row['ceiling']:.0f}/s at best (batches of {best}), from memory "
        f"{row['from_memory']:.0f}/s (batches of {row['batch_size']}); cosine to float32's features at least "
        f"{row['cosine_to_float32']:.6f}"
    )
    show_fed("256x256", row)


def show_fed(size: str, row: Row) -> None:
    print(
        f"  {size}: {row['pipeline']:.0f} images/s, {row['share_of_ceiling']:.0%} of the encoder alone; "
        f"decoding {row['decoding']:.0f}/s on {usable_cores()} cores; limited by {row['limit']}, "
        f"{row['share_of_reachable']:.0%} of the {row['reachable']:.0f}/s that can be reached",
        flush=True,
    )


def compare(name: str, device: str, files: dict[str, list[Path]], seconds: float) -> Row:
    """By way to compute, and of the fastest by size of the images."""

    def load(way: Compute) -> Encoder:
        return load_encoder(name, weights="random", device=device, compute=way)

    rows: Row = {}
    exact, best = load(Compute("torch")), ""
    for way in ways(device):
        encoder, label = load(way), f"{way.backend}, {way.precision}"
        rows[label] = measure(encoder, exact, way, files["256x256"], seconds)
        show(label, rows[label])
        if not best or rows[label]["ceiling"] > rows[best]["ceiling"]:
            best, fastest = label, encoder
    rows["683x512"] = {"way": best} | fed(fastest, rows[best], files["683x512"])
    show_fed(f"683x512, {best}", rows[best] | rows["683x512"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", choices=["clip", "resnet18"], help="this one alone")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement of the encoder alone")
    options = parser.parse_args()
    check(options.device)
    cuda = options.device.startswith("cuda")
    place = torch.cuda.get_device_name() if cuda else platform.processor() or "CPU"
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for size in ("256x256", "683x512"):
            Path(folder, size).mkdir()
            files[size] = images.write(Path(folder, size), images.jpegs(size), options.images)
        for name in [options.encoder] if options.encoder else ["clip", "resnet18"]:
            print(f"{name} on {place}, {usable_cores()} cores")
            rows = compare(name, options.device, files, options.seconds)
            if name == "clip":
                ours = max(row["pipeline"] for row in rows.values())
                print(f"clip-retrieval on an RTX 3080, as published: {PUBLISHED}/s; x{ours / PUBLISHED:.2f}")
            if cuda:
                keep_part("extract_gpu", name, {"device": place, **rows})


if __name__ == "__main__":
    main()
