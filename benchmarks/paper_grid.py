"""Minutes that the paper's whole grid takes here: `python benchmarks/paper_grid.py [--seeds 10]`.

Planet's and ADE20K's own label files (in the folder $IMBPIPE_TEST_DATA), split 60-20-20, random features of
512 dimensions in place of each encoder's, the settings of experiments/paper.toml, 20 epochs of the paper's
head. Every run is planned, trained, scored, measured and kept, by the code that `imbpipe compare` runs, a
part at a time: what shares batches (the baseline and the factors), undersampling, oversampling. With fewer
seeds than the paper's grid has here (10), each part's time is multiplied up. results/paper_grid.json keeps
what earlier calls measured of other data sets and encoders.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.splits import make_split
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.types import FeatureSet

FACTORS = (1.5, 2, 2.5, 3, 5, 10)
THRESHOLDS = {"planet": (200, 30_000), "ade20k": (None, None)}
LABELS = {
    "planet": ("planet_train_v2.csv", "planet/train_v2.csv"),
    "ade20k": ("ade20k_sceneCategories.txt", "ADEChallengeData2016/sceneCategories.txt"),
}
SEEDS = 10


def dataset(name: str) -> Dataset:
    """The owners' labels; no image is needed."""
    given, wanted = LABELS[name]
    with tempfile.TemporaryDirectory() as root:
        place = Path(root) / wanted
        place.parent.mkdir()
        place.symlink_to(Path(os.environ["IMBPIPE_TEST_DATA"]).resolve() / given)
        return load_dataset(name, root=Path(root), options=ReadOptions(images_needed=False))


def material(data: Dataset, encoder: str, dimension: int = 512) -> Material:
    rng = np.random.default_rng(len(encoder))
    features = rng.standard_normal((len(data), dimension), np.float32)
    spec = {"weights": "random"}
    source = FeatureSet(
        features, data.ids, data.labels, data.class_names, data.task, data.name, encoder, spec, encoder, {}
    )
    return Material(features, data, source, ())


def parts(name: str) -> dict[str, tuple[Setting, ...]]:
    fewer, more = THRESHOLDS[name]
    return {
        "baseline and factors": (BASELINE, *(Setting.of("upweight", factor=factor) for factor in FACTORS)),
        "undersampling": (Setting.of("undersample", threshold=fewer),),
        "oversampling": (Setting.of("oversample", threshold=more),),
    }


def timed(name: str, encoder: str, seeds: int) -> Iterator[dict[str, str | int | float]]:
    """A row a part: heads trained, seconds they took."""
    data = dataset(name)
    ground = material(data, encoder)
    grid = Grid(ground, make_split(data, 0), (), tuple(range(seeds)))
    for part, settings in parts(name).items():
        with tempfile.TemporaryDirectory() as cache:
            started = time.perf_counter()
            heads = replace(grid, settings=settings).train(ResultStore(Path(cache)), device="cpu")
            seconds = time.perf_counter() - started
        yield {"dataset": name, "encoder": encoder, "part": part, "heads": heads, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--dataset", choices=LABELS, action="append", help="only this one; may be repeated")
    parser.add_argument("--encoder", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    if "IMBPIPE_TEST_DATA" not in os.environ:
        parser.error("set IMBPIPE_TEST_DATA to the folder that holds the label files")
    target = Path(__file__).parent / "results" / "paper_grid.json"
    kept = json.loads(target.read_text())["parts"] if target.exists() else []
    found: list[dict[str, str | int | float]] = []
    for name in options.dataset or LABELS:
        for encoder in options.encoder or ("clip", "resnet18"):
            for row in timed(name, encoder, options.seeds):
                row["minutes"] = float(row["seconds"]) / 60 * SEEDS / options.seeds
                row["seeds"] = options.seeds
                found.append(row)
                told = f"{name:8} {encoder:9} {row['part']:21} {row['heads']:4} heads"
                print(f"{told} {row['seconds']:7.1f} s; {SEEDS} seeds: {row['minutes']:5.2f} min", flush=True)
    again = {(row["dataset"], row["encoder"]) for row in found}
    found = [row for row in kept if (row["dataset"], row["encoder"]) not in again] + found
    minutes = sum(float(row["minutes"]) for row in found)
    measured = sorted({f"{row['dataset']} {row['encoder']}" for row in found})
    threads = torch.get_num_threads()
    print(f"{', '.join(measured)}: {minutes:.1f} minutes for {SEEDS} seeds on {threads} threads")
    target.write_text(json.dumps({"threads": threads, "minutes": minutes, "parts": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
