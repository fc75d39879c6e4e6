"""Minutes that the paper's whole grid takes at real size, claims answered: `python benchmarks/claims.py`.

Expected: under 15 minutes on two cores for ten runs a setting (ten splits, each with its own seed) of the
text's protocol and three of the code's, on both data sets by both encoders, scores and statistics included.

Planet's and ADE20K's own label files, in the folder named by IMBPIPE_TEST_DATA as planet_train_v2.csv and
ade20k_sceneCategories.txt; in place of features 512 numbers an image, the sum of its classes' random means
plus noise, written by the store's own writer. What is timed is the command itself, in processes of its own:

    imbpipe claims experiments/paper.toml      the text's protocol
    imbpipe claims                             the code's protocol as well
    imbpipe claims                             nothing left to train: statistics and figures alone
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions

DIM, SIGNAL = 512, 0.12
ENCODERS = ("clip", "resnet18")
FILES = {
    "planet/train_v2.csv": "planet_train_v2.csv",
    "ADEChallengeData2016/sceneCategories.txt": "ade20k_sceneCategories.txt",
}


def label_files(root: Path, given: Path) -> None:
    for wanted, name in FILES.items():
        (root / wanted).parent.mkdir(parents=True)
        (root / wanted).symlink_to((given / name).resolve())


def write_features(store: FeatureStore, data: Dataset, encoder: str) -> None:
    """Class means plus noise, another draw for each encoder."""
    rng = np.random.default_rng([len(encoder), len(data)])
    means = SIGNAL * rng.standard_normal((len(data.class_names), DIM))
    spec = {"encoder": {"architecture": f"noise for {encoder}"}, "weights": "drawn noise"}
    spec |= {"dim": DIM, "dtype": "float32"}
    with store.writer(data, encoder, spec, batch_size=4096) as sink:
        for batch in sink.pending:
            rows = np.array(batch.rows)
            noise = rng.standard_normal((len(rows), DIM))
            features = (data.labels[rows] @ means + noise).astype(np.float32)
            sink.write(rows, np.zeros((len(rows), 32), np.uint8), features)
    store.pack(data, encoder, spec)


def command(folder: Path, *arguments: str) -> float:
    """Minutes of one call of `imbpipe claims`; what it prints goes to claims.txt."""
    call = [
        sys.executable,
        "-m",
        "imbpipe",
        "claims",
        *arguments,
        "--cached",
        "--cache",
        str(folder / "cache"),
    ]
    call += ["--root", str(folder / "data"), "--out", str(folder / "figures")]
    started = time.perf_counter()
    with (folder / "claims.txt").open("w") as out:
        subprocess.run(call, stdout=out, check=True)
    return (time.perf_counter() - started) / 60


def measure(folder: Path, given: Path) -> None:
    started = time.perf_counter()
    label_files(folder / "data", given)
    store = FeatureStore(folder / "cache")
    for name in ("planet", "ade20k"):
        data = load_dataset(name, root=folder / "data", options=ReadOptions(images_needed=False))
        for encoder in ENCODERS:
            write_features(store, data, encoder)
    print(f"(features drawn and written in {(time.perf_counter() - started) / 60:.1f} min)", flush=True)
    text = command(folder, "experiments/paper.toml")
    print(f"text's protocol                  {text:6.1f} min", flush=True)
    both = command(folder)
    statistics = command(folder)
    runs = pd.read_parquet(folder / "cache/runs", columns=["run"])["run"].nunique()
    size = sum(path.stat().st_size for path in (folder / "cache/scores").rglob("*.npz"))
    print((folder / "claims.txt").read_text())
    print(f"text's protocol                  {text:6.1f} min")
    print(f"code's protocol, and both tested {both:6.1f} min")
    print(f"of that statistics and figures   {statistics:6.1f} min")
    print(
        f"together                         {text + both:6.1f} min: {runs} runs, {size >> 20:,} MiB of scores"
    )
    print(f"(on {os.cpu_count()} cores)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="where to work, kept; default: a temporary folder")
    folder = parser.parse_args().folder
    if "IMBPIPE_TEST_DATA" not in os.environ:
        parser.error("set IMBPIPE_TEST_DATA to the folder of the label files")
    given = Path(os.environ["IMBPIPE_TEST_DATA"])
    if folder is not None:
        measure(folder, given)
        return
    with tempfile.TemporaryDirectory() as temporary:
        measure(Path(temporary), given)


if __name__ == "__main__":
    main()
