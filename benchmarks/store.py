"""What the feature store costs: `python benchmarks/store.py`.

Expected: writing at most 1 % of an extraction without it, packing at most 30 us a row, a verified load of
40,000 x 512 at most 3 times a bare h5py read. The encoder is a wait of the length that a real one takes,
spinning as CUDA's synchronisation does: 30 images/s is ResNet-18 on two CPU cores, 2,000 images/s a GPU.
What is compared is run in pairs, one right after the other, taking turns at being the first; the figure is
the median over the pairs, with the lowest and the highest. `--json` keeps them in results/store.json.
"""

import argparse
import hashlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import record

from imbpipe.cache.layout import Folder
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset

DIM, BATCH = 512, 64
SPEC = {"encoder": {"architecture": "wait"}, "weights": "random", "dim": DIM, "dtype": "float32"}


def draw(folder: Path, n: int) -> Dataset:
    """n small files with 17 labels."""
    folder.mkdir(parents=True)
    paths = tuple(folder / f"train_{row}.jpg" for row in range(n))
    for path in paths:
        path.write_bytes(path.name.encode())
    labels = np.random.default_rng(0).random((n, 17)) < 0.2
    classes = tuple(f"class{column}" for column in range(17))
    return Dataset("bench", tuple(path.stem for path in paths), paths, labels, classes, "multi-label")


def extract(root: Path, dataset: Dataset, rate: float, *, write: bool) -> float:
    """Seconds from the first batch to the last committed row."""
    features = np.random.default_rng(0).standard_normal((BATCH, DIM)).astype(np.float32)
    with FeatureStore(root).writer(dataset, "wait", SPEC, batch_size=BATCH) as sink:
        digests = np.stack(
            [np.frombuffer(hashlib.sha256(path.read_bytes()).digest(), np.uint8) for path in dataset.images]
        )
        started = time.perf_counter()
        for batch in sink.pending:
            spin(len(batch.rows) / rate if rate else 0.0)
            if write:
                sink.write(np.array(batch.rows), digests[list(batch.rows)], features[: len(batch.rows)])
        if write:
            sink.commit()
        return time.perf_counter() - started


def spin(seconds: float) -> None:
    """Wait without falling asleep, and without keeping other threads from running."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(0)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def pairs(one: Callable[[], float], other: Callable[[], float], count: int) -> list[tuple[float, float]]:
    """Both, `count` times, taking turns at being the first."""
    found = []
    for turn in range(count):
        if turn % 2:
            second = other()
            found.append((one(), second))
        else:
            found.append((one(), other()))
    return found


def spread(values: list[float], form: str) -> str:
    """The median, the lowest and the highest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def overhead(folder: Path, n: int, rate: float, count: int) -> dict[str, object]:
    """The share that writing adds."""
    dataset = draw(folder / "images", n)

    def run(write: bool) -> float:
        seconds = extract(folder / "cache", dataset, rate, write=write)
        shutil.rmtree(folder / "cache")
        return seconds

    found = pairs(lambda: run(False), lambda: run(True), count)
    shares = [with_store / without - 1 for without, with_store in found]
    print(
        f"writing {n} images at {rate:.0f} images/s adds {spread(shares, '+.2%')} (at most 1 %)", flush=True
    )
    return {"images": n, "rate": rate, "seconds without and with": found, "shares": shares}


def packing(folder: Path, n: int, count: int) -> dict[str, object]:
    """What packing n rows takes, from the call to its return."""
    dataset = draw(folder / "images", n)
    root, store = folder / "cache", FeatureStore(folder / "cache")
    found = []
    for _ in range(count):
        shutil.rmtree(root, ignore_errors=True)
        extract(root, dataset, 0, write=True)
        found.append(timed(lambda: store.pack(dataset, "wait", SPEC)) / n * 1e6)
    print(f"packing {n} x {DIM}, process and all: {spread(found, '.1f')} us a row (at most 30)", flush=True)
    return {"rows": n, "microseconds a row": found}


def loading(folder: Path, n: int, count: int) -> dict[str, object]:
    """A verified load of what `packing` left, beside a bare one."""
    root, store = folder / "cache", FeatureStore(folder / "cache")
    path = Folder.of(root, "bench", "wait", SPEC).features

    def bare() -> None:
        with h5py.File(path, "r") as file:
            file["features"][:]

    def verified() -> None:
        store.load("bench", "wait")

    found = pairs(lambda: timed(bare), lambda: timed(verified), count)
    times = [ours / plain for plain, ours in found]
    plain, ours = (statistics.median(column) * 1e3 for column in zip(*found, strict=True))
    print(
        f"loading {n} x {DIM}: {ours:.0f} ms verified, {plain:.0f} ms by bare h5py: "
        f"{spread(times, '.2f')} times (at most 3), {(ours - plain) / n * 1e3:.1f} us a row",
        flush=True,
    )
    return {"rows": n, "seconds bare and verified": found, "times": times}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, help="of extractions at 2,000 images/s")
    parser.add_argument("--json", action="store_true", help="keep the figures in results/store.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "slow": overhead(folder / "slow", 128, 30, 3),
            "fast": overhead(folder / "fast", 10_000, 2000, options.pairs),
            "pack": packing(folder / "large", 40_000, 7),
            "load": loading(folder / "large", 40_000, 15),
        }
    if options.json:
        record.keep("store", found)


if __name__ == "__main__":
    main()
