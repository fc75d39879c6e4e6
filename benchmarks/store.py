"""What the feature store costs: `python benchmarks/store.py`.

Expected: writing at most 1 % of an extraction without it, packing at most 30 us a row, a verified load of
40,000 x 512 at most 3 times a bare h5py read. The encoder is a wait of the length that a real one takes,
spinning as CUDA's synchronisation does: 30 images/s is ResNet-18 on two CPU cores, 2,000 images/s a GPU.
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


def overhead(folder: Path, n: int, rate: float, repeats: int) -> None:
    """Print the share that writing adds."""
    dataset = draw(folder / "images", n)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(repeats):
        for write in (False, True):
            seconds[write].append(extract(folder / "cache", dataset, rate, write=write))
            shutil.rmtree(folder / "cache")
    without, with_store = (statistics.median(seconds[write]) for write in (False, True))
    share = with_store / without - 1
    print(
        f"writing at {rate:.0f} images/s: {share:+.2%} (at most 1 %), {with_store:.2f} s, not {without:.2f} s"
    )


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def pack_and_load(folder: Path, n: int, repeats: int) -> None:
    """Print what packing and loading n rows takes."""
    dataset = draw(folder / "images", n)
    root, store = folder / "cache", FeatureStore(folder / "cache")
    packing = []
    for _ in range(repeats):
        shutil.rmtree(root, ignore_errors=True)
        extract(root, dataset, 0, write=True)
        packing.append(timed(lambda: store.pack(dataset, "wait", SPEC), 1))
    seconds = statistics.median(packing)
    print(
        f"pack {n} x {DIM}: {seconds:.2f} s, {seconds / n * 1e6:.1f} us a row (at most 30), process and all"
    )
    path = Folder.of(root, dataset.name, "wait", SPEC).features

    def bare() -> None:
        with h5py.File(path, "r") as file:
            file["features"][:]

    pairs = [(timed(bare, 1), timed(lambda: store.load("bench", "wait"), 1)) for _ in range(3 * repeats)]
    plain, verified = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"load {n} x {DIM}: {plain * 1e3:.0f} ms bare h5py, {verified * 1e3:.0f} ms verified: "
        f"{verified / plain:.2f} times (at most 3), {(verified - plain) / n * 1e6:.1f} us a row"
    )


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        overhead(folder / "slow", 320, 30, options.repeats)
        overhead(folder / "fast", 30_000, 2000, options.repeats)
        pack_and_load(folder / "large", 40_000, options.repeats)


if __name__ == "__main__":
    main()
