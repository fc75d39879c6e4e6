"""Training on features larger than the memory allowed, beside training on all of them in memory.

    python benchmarks/stream.py [--rows 2000000] [--memory 1000000000] [--sorted] [--folder DIR]

A features.h5 of made float16 features of 512 dimensions with 17 labels, from six in ten images to two in a
thousand, is written to DIR (a temporary folder by default; a file that is there is taken again). Each way to
train is a process of its own: two seeds of the baseline and of six up-weighting factors, 14 heads, for some
epochs of 60 % of the rows, scored on the rest, by the code that `imbpipe train` runs. Told are training rows
a second, summed over heads; the peak of memory over what the process had before it opened the file, of which
ids, labels and the like are a part; and the difference in average precision, head by head, beside what
another seed changes. `--sorted` sorts the file by label, rarest last, which is the worst order for reading
in blocks.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
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
SEEDS = (0, 1)


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


def one(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Train and score in this process."""
    dataset = made(args.rows, by_label=args.sorted)
    split = make_split(dataset, 0, kind="random")
    settings = (BASELINE, *(Setting.of("upweight", factor=factor) for factor in FACTORS))
    warm_up()
    Path("/proc/self/clear_refs").write_text("5")
    before, started = rss(), time.perf_counter()
    features = read_or_open(path, args.memory if args.one == "streamed" else sys.maxsize)
    assert isinstance(features.features, StoredFeatures) == (args.one == "streamed")
    material = gather(dataset, features)
    opened, opening = rss() - before, time.perf_counter() - started
    grid = Grid(material, split, settings, SEEDS, Protocol(epochs=args.epochs))
    with tempfile.TemporaryDirectory() as cache:
        store = ResultStore(Path(cache))
        started = time.perf_counter()
        heads = grid.train(store)
        seconds = time.perf_counter() - started
        table = grid.results(store)
    ap = table.pivot_table("ap", ["setting", "seed"], "class_name")[list(dataset.class_names)].to_numpy()
    return {
        "seconds_to_open": opening,
        "seconds_to_train_and_score": seconds,
        "rows_a_second": heads * args.epochs * len(split.train) / seconds,
        "megabytes_after_opening": opened / 1e6,
        "megabytes_at_most": (peak() - before) / 1e6,
        "ap": ap.tolist(),
    }


def compared(streamed: dict[str, Any], resident: dict[str, Any]) -> dict[str, float]:
    """Paired differences in AP beside what another seed does, and how fast one way is beside the other."""
    ours, theirs = (
        np.array(each["ap"]).reshape(len(FACTORS) + 1, len(SEEDS), -1) for each in (streamed, resident)
    )
    difference = (ours - theirs).mean(axis=2).ravel()
    seed = (theirs[:, 0] - theirs[:, 1]).mean(axis=1) / np.sqrt(2)
    return {
        "ap_resident": theirs.mean(),
        "ap_resident_of_the_five_rarest": theirs[:, :, -5:].mean(),
        "difference_in_ap": difference.mean(),
        "its_standard_error": difference.std(ddof=1) / np.sqrt(len(difference)),
        "difference_in_ap_of_the_five_rarest": (ours - theirs)[:, :, -5:].mean(),
        "largest_difference_of_a_class": np.abs((ours - theirs).mean(axis=(0, 1))).max(),
        "deviation_between_seeds": np.sqrt((seed**2).mean()),
        "speed": streamed["rows_a_second"] / resident["rows_a_second"],
    }


def measure(way: str, path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own."""
    given = {
        "rows": args.rows,
        "memory": args.memory,
        "epochs": args.epochs,
        "folder": path.parent,
        "one": way,
    }
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, __file__, *options, *(["--sorted"] if args.sorted else [])]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout or "{}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--memory", type=int, default=1_000_000_000, help="bytes for features when streamed")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--sorted", action="store_true", help="by label: the worst order for blocks")
    parser.add_argument("--folder", type=Path, help="where the file is, or is to be written")
    parser.add_argument("--part", choices=("streamed", "resident"), help="measure this alone; the rest stays")
    parser.add_argument("--one", choices=("write", "streamed", "resident"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    path = folder / f"{args.rows}{'-sorted' if args.sorted else ''}.h5"
    if args.one == "write":
        write(path, made(args.rows, by_label=args.sorted))
        return
    if args.one:
        print(json.dumps(one(path, args)))
        return
    if not path.exists():
        measure("write", path, args)
    target = Path(__file__).parent / "results" / "stream.json"
    kept = json.loads(target.read_text())["measured"] if target.exists() else {}
    found = kept.setdefault("sorted by label" if args.sorted else "in random order", {})
    found |= {"rows": args.rows, "dimension": DIMENSION, "memory": args.memory, "epochs": args.epochs}
    for way in [args.part] if args.part else ["streamed", "resident"]:
        found[way] = measure(way, path, args)
    if "streamed" in found and "resident" in found:
        found["compared"] = compared(found["streamed"], found["resident"])
    keep("stream", kept)
    for name, values in found.items():
        if isinstance(values, dict):
            print(name)
            for what, value in values.items():
                if what != "ap":
                    print(f"  {what.replace('_', ' '):40} {value:.5g}")


if __name__ == "__main__":
    main()
