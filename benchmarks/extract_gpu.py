"""Encoding on a GPU: `python benchmarks/extract_gpu.py [--encoder clip] [--device cuda]`.

For each precision: images a second of the encoder alone (bytes resident on the device, all lanes at once), of
the encoder fed from memory (copies included), of reading and decoding alone on all cores, and of the whole
pipeline; its share of the encoder alone; what limits; and the smallest cosine to float32's features. Random
weights; images are drawn, of 256 x 256. `compiled` is the same network through torch.compile, to see whether
it would pay.
"""

import argparse
import io
import json
import platform
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from imbpipe.cache.fill import fill
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.encoders.compute import Compute
from imbpipe.encoders.cores import usable_cores
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.load import load_encoder
from imbpipe.extract.batch_size import encoding_rate, usual_batch_size
from imbpipe.extract.pixels import pixels_of

RESULTS = Path(__file__).parent / "results" / "extract_gpu.json"


def photographs(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    contents = []
    for _ in range(64):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        contents.append(buffer.getvalue())
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % 64])
    return sorted(folder.glob("*.jpg"))


def resident_rate(network: Any, encoder: Encoder, size: int, precision: str, seconds: float) -> float:
    """Images a second of the network on float32 pixels that lie on the device."""
    kind = encoder.device.partition(":")[0]
    pixels = torch.zeros(size, 3, encoder.resize.crop, encoder.resize.crop, device=encoder.device)
    lower = torch.autocast(kind, getattr(torch, precision), enabled=precision != "float32")
    with torch.inference_mode(), lower:
        for _ in range(3):
            network(pixels)
        wait(kind)
        started, batches = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            network(pixels)
            wait(kind)
            batches += 1
        return batches * size / (time.perf_counter() - started)


def wait(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()


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
    labels = np.ones((len(paths), 1), dtype=bool)
    data = Dataset("bench", tuple(p.stem for p in paths), tuple(paths), labels, ("all",), "multi-label")
    with tempfile.TemporaryDirectory() as cache:
        done = fill(FeatureStore(cache), data, encoder, batch_size=size)
    return done.encoded / done.seconds


def cosine(encoder: Encoder, exact: Encoder, paths: list[Path]) -> float:
    pixels = torch.stack([pixels_of(exact, path.read_bytes()) for path in paths[:32]])
    a, b = encoder.encode(pixels), exact.encode(pixels)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def one(
    name: str, device: str, precision: str, paths: list[Path], seconds: float, compiled: bool
) -> dict[str, Any]:
    def load(wanted: Any) -> Any:
        return load_encoder(name, weights="random", device=device, compute=Compute("torch", wanted))

    encoder = load(precision)
    size = usual_batch_size(encoder)
    found: dict[str, Any] = {
        "encoder_alone": resident_rate(encoder._network, encoder, size, precision, seconds),
        "from_memory": encoding_rate(encoder, size, seconds),
        "decoding_alone": decoding_rate(encoder, paths),
        "pipeline": pipeline(encoder, paths, size),
        "cosine_to_float32": cosine(encoder, load("float32"), paths),
    }
    if compiled:
        network = torch.compile(encoder._network)
        found["encoder_alone_compiled"] = resident_rate(network, encoder, size, precision, seconds)
    limits = {
        "encoder": found["encoder_alone"],
        "copies": found["from_memory"],
        "decoding": found["decoding_alone"],
    }
    return found | {
        "share": found["pipeline"] / found["encoder_alone"],
        "limit": min(limits, key=limits.__getitem__),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", default="clip")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement of the encoder alone")
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    machine = torch.cuda.get_device_name() if cuda else platform.processor() or "CPU"
    report: dict[str, Any] = {"machine": machine, "cores": usable_cores(), "encoder": options.encoder}
    with tempfile.TemporaryDirectory() as folder:
        paths = photographs(Path(folder), options.images)
        for precision in ("float32", "bfloat16", *(("float16",) if cuda else ())):
            row = one(
                options.encoder, options.device, precision, paths, options.seconds, not options.no_compile
            )
            report[precision] = row
            print(
                f"{precision:9} encoder alone {row['encoder_alone']:8.0f}/s, fed from memory "
                f"{row['from_memory']:8.0f}/s, decoding alone {row['decoding_alone']:8.0f}/s, pipeline "
                f"{row['pipeline']:8.0f}/s = {row['share']:.0%}; limited by {row['limit']}; "
                f"cosine to float32 {row['cosine_to_float32']:.6f}"
                + (f"; compiled {row['encoder_alone_compiled']:.0f}/s" if not options.no_compile else ""),
                flush=True,
            )
    print(f"{options.encoder} on {machine}, {usable_cores()} cores")
    if cuda:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
