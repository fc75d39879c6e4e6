"""How much memory an image costs: its name, its path and a few marks, never its pixels or features."""

import gc
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbpipe.cache import pack, reader, rows, store, writer
from imbpipe.cache.fill import fill
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.encoders.mean_colour import MeanColour

DIM = 2048
FEATURE_BYTES = 4 * DIM


class Wide(MeanColour):
    """Features large enough to be seen in memory if any were kept."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = DIM

    def encode(self, pixels):
        return np.tile(super().encode(pixels), (1, DIM))[:, :DIM]


def dataset(folder: Path, count: int) -> Dataset:
    """`count` names of one image, known to Python's table of strings before anything is measured."""
    folder.mkdir()
    Image.new("RGB", (8, 8), (9, 99, 199)).save(folder / "image", "PNG")
    for number in range(count):
        os.link(folder / "image", folder / f"{number:05d}.png")
    paths = tuple(Path(path) for path in sorted(map(str, folder.glob("*.png"))))
    return Dataset(
        "many", tuple(path.stem for path in paths), paths, np.ones((count, 1), bool), ("a",), "multi-label"
    )


def peak_of(folder: Path, count: int, *, before: int = 0) -> int:
    """Bytes that encoding and packing took at most, beside the data set itself.

    before: images of `count` that are encoded and packed already.
    """
    data = dataset(folder, count)
    if before:
        some = replace(data, ids=data.ids[:before], images=data.images[:before], labels=data.labels[:before])
        fill(FeatureStore(folder / "cache"), some, Wide())
    gc.collect()
    tracemalloc.start()
    try:
        summary = fill(FeatureStore(folder / "cache"), data, Wide())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert summary.encoded == count - before
    return most


def test_an_image_more_costs_the_memory_of_its_names_and_not_of_its_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "pack_in_child", pack.pack)
    monkeypatch.setattr(writer, "MOST_QUEUED", 4)
    for module in (rows, reader):
        monkeypatch.setattr(module, "BLOCK_ROWS", 64)
    fill(FeatureStore(tmp_path / "cache"), dataset(tmp_path / "first", 40), Wide())  # what is loaded once
    few, many = peak_of(tmp_path / "few", 300), peak_of(tmp_path / "many", 1100)
    assert (many - few) / 800 < FEATURE_BYTES / 2


def test_adding_an_image_to_many_that_are_packed_reads_these_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "pack_in_child", pack.pack)
    for module in (rows, reader):
        monkeypatch.setattr(module, "BLOCK_ROWS", 256)
    fill(FeatureStore(tmp_path / "cache"), dataset(tmp_path / "first", 40), Wide())  # what is loaded once
    few, many = (peak_of(tmp_path / str(count), count, before=count - 1) for count in (600, 1400))
    assert (many - few) / 800 < FEATURE_BYTES / 2
