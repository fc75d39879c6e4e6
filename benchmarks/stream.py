"""Training on features larger than the memory allowed, beside training on all of them in memory.

    python benchmarks/stream.py [--part speed|quality]

A features.h5 of made float16 features of 512 dimensions with 17 labels, from six in ten images to two in a
thousand, is written to --folder (a temporary one by default; a file that is there is taken again). Each way
to train is a process of its own and runs the code that `imbpipe train` runs, on 60 % of the rows, scored on
the rest. Speed: 2,000,000 rows under a bound of 1 GB, 14 heads (two seeds of the baseline and six
up-weighting factors) for an epoch: training rows a second, summed over heads; the peak of memory over what
the process had before it opened the file, of which ids, labels and scores are a part. Quality: 200,000 rows
under 100 MB, ten seeds of the baseline for four epochs, streamed and resident run paired by seed: the
difference in average precision beside what another seed changes, for a file in random order and for one
sorted by label, rarest last, which is the worst order for reading in blocks.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from record import keep
from selection import peak

from imbpipe.cache.hdf5 import make_content, write_file
from imbpipe.cache.reader import read_or_open
from imbpipe.cache.stored import StoredFeatures
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import gather
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.heads.run import Protocol
from imbpipe.types import FeatureSet

DIMENSION, CLASSES, BLOCK = 512, 17, 4096
FACTORS = (1.5, 2, 2.5, 3, 5, 10)


@dataclass(frozen=True)
class Job:
    """memory: bytes for features when streamed. by_label: the order of the file."""

    rows: int
    memory: int
    epochs: int
    seeds: int
    factors: bool
    by_label: bool = False


JOBS = {
    "speed": Job(2_000_000, 1_000_000_000, 1, 2, True),
    "quality, random order": Job(200_000, 100_000_000, 4, 10, False),
    "quality, sorted by label": Job(200_000, 100_000_000, 4, 10, False, True),
}


def made(rows: int, *, by_label: bool) -> Dataset:
    rng = np.random.default_rng(0)
    labels = rng.random((rows, CLASSES), np.float32) < np.geomspace(0.6, 0.002, CLASSES)
    if by_label:
        labels = labels[np.lexsort(labels.T)]
    ids = tuple(f"{row:08d}" for row in range(rows))
    names = tuple(f"class {place}" for place in range(CLASSES))
    return Dataset("made", ids, (Path(),) * rows, labels, names, "multi-label")


def write(path: Path, dataset: Dataset) -> None:
    rows = len(dataset)
    content = make_content(
        dataset="made",
        encoder="noise",
        task="multi-label",
        spec={"encoder": {}, "weights": "random", "dim": DIMENSION, "dtype": "float16"},
        class_names=dataset.class_names,
        ids=dataset.ids,
        labels=dataset.labels,
        image_digest=np.zeros((rows, 16), np.uint8),
        quarantined={},
    )
    rng = np.random.default_rng(1)
    shown = rng.standard_normal((CLASSES, DIMENSION), np.float32)

    def block(start: int) -> np.ndarray:
        some = dataset.labels[start : start + BLOCK]
        noise = rng.standard_normal((len(some), DIMENSION), np.float32)
        return (0.3 * some @ shown + 2 * noise).astype(np.float16)

    write_file(path, content, (block(start) for start in range(0, rows, BLOCK)))


def warm_up() -> None:
    """Load all libraries and what they set up at their first use."""
    dataset = made(5000, by_label=False)
    features = np.random.default_rng(0).standard_normal((len(dataset), DIMENSION), np.float32)
    source = FeatureSet(
        features, dataset.ids, dataset.labels, dataset.class_names, dataset.task, "made", "noise",
        {"weights": "random"}, "", {},
    )  # fmt: skip
    grid = Grid(gather(dataset, source), make_split(dataset, 0), (BASELINE,), (0, 1), Protocol(epochs=1))
    with tempfile.TemporaryDirectory() as cache:
        grid.train(ResultStore(Path(cache)))


def rss() -> int:
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


def one(way: str, path: Path, job: Job) -> dict[str, Any]:
    """Train and score in this process."""
    dataset = made(job.rows, by_label=job.by_label)
    split = make_split(dataset, 0, kind="random")
    factors = FACTORS if job.factors else ()
    settings = (BASELINE, *(Setting.of("upweight", factor=factor) for factor in factors))
    warm_up()
    Path("/proc/self/clear_refs").write_text("5")
    before, started = rss(), time.perf_counter()
    features = read_or_open(path, job.memory if way == "streamed" else sys.maxsize)
    assert isinstance(features.features, StoredFeatures) == (way == "streamed")
    material = gather(dataset, features)
    opened, opening = rss() - before, time.perf_counter() - started
    grid = Grid(material, split, settings, tuple(range(job.seeds)), Protocol(epochs=job.epochs))
    with tempfile.TemporaryDirectory() as cache:
        store = ResultStore(Path(cache))
        started = time.perf_counter()
        heads = grid.train(store)
        seconds = time.perf_counter() - started
        table = grid.results(store)
    ap = table.pivot_table("ap", "seed", "class_name", "mean")[list(dataset.class_names)].to_numpy()
    return {
        "seconds_to_open": opening,
        "seconds_to_train_and_score": seconds,
        "rows_a_second": heads * job.epochs * len(split.train) / seconds,
        "megabytes_after_opening": opened / 1e6,
        "megabytes_at_most": (peak() - before) / 1e6,
        "ap": ap.tolist(),
    }


def compared(streamed: dict[str, Any], resident: dict[str, Any]) -> dict[str, float]:
    """Differences in AP, paired by seed, beside what another seed does; and the ratio of speeds."""
    ours, theirs = (np.array(each["ap"]) for each in (streamed, resident))
    found: dict[str, float] = {}
    if "rows_a_second" in streamed:
        found["speed"] = streamed["rows_a_second"] / resident["rows_a_second"]
    for name, some in (("all classes", slice(None)), ("the five rarest", slice(-5, None))):
        difference = (ours - theirs)[:, some].mean(axis=1)
        found[f"ap of {name}"] = theirs[:, some].mean()
        found[f"difference in ap of {name}"] = difference.mean()
        found[f"its standard error, {name}"] = difference.std(ddof=1) / np.sqrt(len(difference))
        found[f"deviation between seeds, {name}"] = theirs[:, some].mean(axis=1).std(ddof=1)
    return found


def measure(name: str, way: str, folder: Path) -> dict[str, Any]:
    """In a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--one", name, way]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout or "{}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the files are, or are to be written")
    parser.add_argument("--part", choices=("speed", "quality"), help="measure this alone; the rest stays")
    parser.add_argument("--way", choices=("streamed", "resident"), help="measure this alone; the rest stays")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    if args.one:
        job = JOBS[args.one[0]]
        path = folder / f"{job.rows}{'-sorted' if job.by_label else ''}.h5"
        if args.one[1] == "write":
            write(path, made(job.rows, by_label=job.by_label))
        else:
            print(json.dumps(one(args.one[1], path, job)))
        return
    target = Path(__file__).parent / "results" / "stream.json"
    kept = json.loads(target.read_text())["measured"] if target.exists() else {}
    for name in [name for name in JOBS if name.startswith(args.part or "")]:
        job = JOBS[name]
        if not (folder / f"{job.rows}{'-sorted' if job.by_label else ''}.h5").exists():
            measure(name, "write", folder)
        found = kept.setdefault(name, {}) | asdict(job) | {"dimension": DIMENSION}
        for way in [args.way] if args.way else ["streamed", "resident"]:
            found[way] = measure(name, way, folder)
            if name != "speed":
                found[way] = {"ap": found[way]["ap"]}  # the same on a busy machine
        if "streamed" in found and "resident" in found:
            found["compared"] = compared(found["streamed"], found["resident"])
        kept[name] = found
        keep("stream", kept)
        show(name, found)


def show(name: str, found: dict[str, Any]) -> None:
    print(name)
    for part, values in found.items():
        if isinstance(values, dict):
            print(f"  {part}")
            for what, value in values.items():
                if what != "ap":
                    print(f"    {what.replace('_', ' '):42} {value:.5g}")


if __name__ == "__main__":
    main()
