"""Images encoded a second, ours against others', in one run: `python benchmarks/extract.py [--quick]`.

All encode the same JPEG files with random weights, each in a process of its own, in turn, on all cores; peers
with as many DataLoader processes as cores and with none, and the faster counts. Ours is the whole pipeline
into the store on disk, journals synced, features.h5 packed. The ceiling is our encoder alone, on pixels in
memory, measured right before and after the pipeline in the same process; its share is that of the loop up to
the last synced row, while images/s count the packing as well. Images are real chips where
IMBPIPE_TEST_DATA names them, else drawn; those of 683 x 512 are made of several.

`--part NAME` measures one part alone and keeps the other parts' results. `number` is a run over up to 100,000
files of mixed size and health by the mean colour, with the bad ones counted.
"""

import argparse
import io
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "extract.json"
COUNT = {"resnet18": 1600, "clip": 640}
SIZES = {"256x256 CMYK": None, "256x256": (256, 256), "683x512": (683, 512), "1024x768": (1024, 768)}


def photographs(count: int) -> list[Image.Image]:
    """256 x 256, RGB: real chips, or drawn ones."""
    folder = os.environ.get("IMBPIPE_TEST_DATA")
    if folder:
        chips = sorted(Path(folder, "planet_sample/train").glob("*.jpg"))
        return [Image.open(chip).convert("RGB") for chip in chips[:count]]
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 24, 24, 3), dtype=np.uint8)
    return [Image.fromarray(each).resize((256, 256), Image.Resampling.BICUBIC) for each in coarse]


def jpegs(size: str, count: int = 64) -> list[bytes]:
    """Files of a size; larger ones are tiled of several photographs."""
    pieces, found = photographs(count), []
    for number in range(count):
        image = pieces[number % len(pieces)]
        if SIZES[size] is None:
            image = image.convert("CMYK")
        elif SIZES[size] != (256, 256):
            width, height = SIZES[size]
            canvas = Image.new("RGB", (width, height))
            for tile, (x, y) in enumerate(
                (x, y) for y in range(0, height, 256) for x in range(0, width, 256)
            ):
                canvas.paste(pieces[(number + tile) % len(pieces)], (x, y))
            image = canvas
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found


def files(folder: Path, size: str, count: int) -> list[Path]:
    contents = jpegs(size)
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % len(contents)])
    return sorted(folder.glob("*.jpg"))


# one measurement, in a process of its own


def measure(job: dict[str, Any]) -> dict[str, float]:
    """images_s, cpu_ms (an image), megabytes (of all processes); for ours the ceiling and its share."""
    paths = sorted(Path(job["folder"]).glob("*.jpg"))[: job["count"]]
    if job["who"] != "imbpipe":
        import extract_peers

        run = extract_peers.PEERS[job["encoder"]][job["who"]](paths, job["workers"])
        found, count = timed(run, len(paths))
        assert count == len(paths)
        return found
    run, ceiling = ours(job, paths)
    ceilings = [ceiling()]
    found, summary = timed(run, len(paths))
    ceilings.append(ceiling())
    rate, most = summary.encoded / summary.seconds, statistics.mean(ceilings)
    assert summary.encoded == len(paths)
    return found | {"ceiling": most, "share": rate / most}


def timed(run: Callable[[], Any], count: int) -> tuple[dict[str, float], Any]:
    """What `run` of `count` images took, and what it returned."""
    before, started = cpu_seconds(), time.perf_counter()
    result = run()
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - before
    return {"images_s": count / seconds, "cpu_ms": 1e3 * cpu / count, "megabytes": peak()}, result


def ours(job: dict[str, Any], paths: list[Path]) -> tuple[Callable[[], Any], Callable[[], float]]:
    from imbpipe.cache.fill import fill
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.dataset import Dataset
    from imbpipe.encoders.compute import Compute
    from imbpipe.encoders.load import load_encoder
    from imbpipe.extract.batch_size import encoding_rate, usual_batch_size

    compute = Compute(job.get("backend"), job.get("precision", "float32"))
    encoder = load_encoder(
        job["encoder"], weights=job.get("weights", "random"), device="cpu", compute=compute
    )
    labels = np.ones((len(paths), 1), dtype=bool)
    data = Dataset("bench", tuple(p.stem for p in paths), tuple(paths), labels, ("all",), "multi-label")
    store = FeatureStore(tempfile.mkdtemp(dir=job["folder"]))
    size = usual_batch_size(encoder)
    return (
        lambda: fill(store, data, encoder, workers=job.get("workers")),
        lambda: encoding_rate(encoder, size, 3),
    )


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak() -> float:
    """Of this process and, where it had any, of its largest child."""
    kilobytes = [
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return sum(kilobytes) / 1024


def alone(**job: Any) -> dict[str, float]:
    """`measure` in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps(job)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


# the parts


def peers(folder: Path, rounds: int, scale: float) -> dict[str, Any]:
    """Ours and everyone's, in turn; ratios are medians of the rounds' ratios."""
    import extract_peers

    found: dict[str, Any] = {}
    for encoder, others in extract_peers.PEERS.items():
        where = {"folder": str(folder), "encoder": encoder, "count": int(COUNT[encoder] * scale)}
        turns = []
        for _ in range(rounds):
            turn = {"imbpipe": alone(**where, who="imbpipe")}
            for who in others:
                both = [alone(**where, who=who, workers=workers) for workers in (os.cpu_count() or 1, 0)]
                turn[who] = max(both, key=lambda each: each["images_s"])
            turns.append(turn)
        found[encoder] = {who: _median([turn[who] for turn in turns]) for who in turns[0]}
        for who in others:
            ratios = [turn["imbpipe"]["images_s"] / turn[who]["images_s"] for turn in turns]
            found[encoder][who]["ours_is_times"] = statistics.median(ratios)
        show(encoder, found[encoder])
    return found


def backends(folder: Path, scale: float) -> dict[str, Any]:
    """What ships on a CPU: torch, and OpenVINO in both precisions."""
    ways = {
        "torch": ("torch", "float32"),
        "openvino": ("openvino", "float32"),
        "openvino bfloat16": ("openvino", "bfloat16"),
    }
    found: dict[str, Any] = {}
    for encoder, count in COUNT.items():
        found[encoder] = {
            name: alone(folder=str(folder), encoder=encoder, count=int(count * scale / 2), who="imbpipe",
                        backend=backend, precision=precision)
            for name, (backend, precision) in ways.items()
        }  # fmt: skip
        show(encoder, found[encoder])
    return found


def decode(seconds: float = 0.5) -> dict[str, Any]:
    """Images a second of one core, from bytes to the network's pixels."""
    import torch

    from imbpipe.encoders.compute import Compute
    from imbpipe.encoders.load import load_encoder
    from imbpipe.extract.pixels import pixels_of

    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in COUNT:
        encoder = load_encoder(name, weights="random", device="cpu", compute=Compute("torch"))
        for size in SIZES:
            contents = jpegs(size)
            own = _rate(
                lambda data, e=encoder: e.preprocess(Image.open(io.BytesIO(data)).convert("RGB")),
                contents,
                seconds,
            )
            fast = _rate(lambda data, e=encoder: pixels_of(e, data), contents, seconds)
            found[f"{name}, {size}"] = {"own": own, "imbpipe": fast, "times": fast / own}
            print(
                f"{name:9} {size:13} own {own:6.0f}/s  imbpipe {fast:6.0f}/s  x{fast / own:.2f}", flush=True
            )
    return found


def _rate(load: Callable[[bytes], Any], contents: Sequence[bytes], seconds: float) -> float:
    best = 0.0
    for _ in range(3):
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            load(contents[count % len(contents)])
            count += 1
        best = max(best, count / (time.perf_counter() - started))
    return best


def sizes(scale: float) -> dict[str, Any]:
    """The pipeline by ResNet-18 over images of growing size."""
    found = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            count = len(files(Path(folder), size, int(800 * scale)))
            found[size] = alone(folder=folder, encoder="resnet18", count=count, who="imbpipe")
    show("resnet18, by image size", found)
    return found


def worker_counts(folder: Path, scale: float) -> dict[str, Any]:
    """The pipeline by ResNet-18 with a given number of reading threads."""
    job = {"folder": str(folder), "encoder": "resnet18", "count": int(800 * scale), "who": "imbpipe"}
    found = {str(count or "auto"): alone(**job, workers=count) for count in (None, 1, 2, 4, 8)}
    show("resnet18, by reading threads", found)
    return found


def numbers(most: int) -> dict[str, Any]:
    """By the mean colour: files of four sizes, one in fifty bad in one of four ways."""
    found = {}
    for count in (n for n in (100, 1000, 10_000, 100_000) if n <= most):
        with tempfile.TemporaryDirectory() as folder:
            bad = _mixed(Path(folder), count)
            found[str(count)] = alone(
                folder=folder, encoder="mean-colour", count=count, who="health", bad=bad
            )
    show("mean-colour, by number of files, one in fifty bad", found)
    return found


def _mixed(folder: Path, count: int) -> int:
    """Hard links to a few hundred files; the number of bad ones."""
    sources = folder / "sources"
    sources.mkdir()
    contents = [data for size in SIZES for data in jpegs(size, 12)]
    for number, data in enumerate(contents):
        (sources / f"good-{number}").write_bytes(data)
    spoilt = (b"", contents[0][:5000], b"<!doctype html><p>", contents[0][:200])
    for number, data in enumerate(spoilt):
        (sources / f"bad-{number}").write_bytes(data)
    for number in range(count):
        turn = number // 50
        source = f"bad-{turn % len(spoilt)}" if number % 50 == 7 else f"good-{number % len(contents)}"
        os.link(sources / source, folder / f"{number:06d}.jpg")
    return len(range(7, count, 50))


def health(job: dict[str, Any]) -> dict[str, float]:
    """One run over files of mixed health, checked: the right ones are set aside, nothing is left open."""
    paths = sorted(Path(job["folder"]).glob("*.jpg"))
    run, _ = ours(job | {"weights": "pretrained"}, paths)
    opened = len(os.listdir("/proc/self/fd"))
    found, summary = timed(run, len(paths))
    assert len(summary.quarantined) == job["bad"], "not the bad ones were set aside"
    assert len(os.listdir("/proc/self/fd")) <= opened, "files are left open"
    return found


def _median(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title:34} images/s  CPU ms/image     MB  share of the encoder alone  ours is x", flush=True)
    for name, row in rows.items():
        share = f"{row['share']:27.1%}" if "share" in row else " " * 27
        times = f"{row['ours_is_times']:11.2f}" if "ours_is_times" in row else ""
        print(
            f"{name:34} {row['images_s']:8.1f} {row['cpu_ms']:13.2f} {row['megabytes']:6.0f} {share}{times}",
            flush=True,
        )


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", info.read_text()) if info.exists() else []
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds")
    parser.add_argument("--part", choices=["peers", "backends", "decode", "sizes", "workers", "number"])
    parser.add_argument("--rounds", type=int, help="how often ours and peers take turns")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = json.loads(options.job)
        print(json.dumps(health(job) if job["who"] == "health" else measure(job)))
        return
    scale, rounds = (0.25, 1) if options.quick else (1.0, 3)
    report = json.loads(RESULTS.read_text()) if options.part and RESULTS.exists() else {}
    report |= {
        "machine": machine(),
        "images": "real chips" if os.environ.get("IMBPIPE_TEST_DATA") else "drawn",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files(folder, "256x256", max(COUNT.values()))
        parts: dict[str, Callable[[], Any]] = {
            "decode": decode,
            "peers": lambda: peers(folder, options.rounds or rounds, scale),
            "backends": lambda: backends(folder, scale),
            "sizes": lambda: sizes(scale),
            "workers": lambda: worker_counts(folder, scale),
            "number": lambda: numbers(10_000 if options.quick else 100_000),
        }
        for part in [options.part] if options.part else parts:
            report[part] = parts[part]()
            report[f"{part}_load"] = os.getloadavg()
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{report['machine']}; {report['images']}; written to {RESULTS}")


if __name__ == "__main__":
    main()
