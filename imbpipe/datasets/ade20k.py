"""ADE20K: scenes by category."""

from collections import Counter
from pathlib import Path

import numpy as np

from imbpipe.datasets.dataset import DATASETS, TRAIN, VALIDATION, Dataset
from imbpipe.datasets.images import check_ids, find_images
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.owner import owners_file
from imbpipe.datasets.table import Table
from imbpipe.datasets.text import read_text
from imbpipe.errors import DatasetError

CLASSES = 20
PARTS = {"ADE_train_": ("training", TRAIN), "ADE_val_": ("validation", VALIDATION)}


@DATASETS.add("ade20k")
def ade20k(root: Path, options: ReadOptions) -> Dataset:
    """The 20 most frequent scenes of ADE20K, 8,809 photographs, one label an image.

    "misc" is no scene and is left out; scenes of equal frequency come in alphabetical order. The owners'
    division: training and validation. Read as its owners publish it: ADEChallengeData2016/ with
    images/training/*.jpg, images/validation/*.jpg and sceneCategories.txt.

    Source: http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip

    Terms: images for non-commercial research and education; annotations BSD-3 (Zhou et al., 2017).
    """
    folder = root / "ADEChallengeData2016"
    table = _read_scenes(owners_file("ade20k", folder, "sceneCategories.txt"))
    ids = table.column("image", "--image-column")
    scenes = table.column("scene", "--label-column")
    check_ids(ids, table.place)
    places = [_part(name, table.place(row)) for row, name in enumerate(ids)]
    files = [f"{part}/{name}" for name, (part, _) in zip(ids, places, strict=True)]
    classes = _most_frequent(scenes)
    chosen = [row for row, scene in enumerate(scenes) if scene in classes]
    found = find_images(
        folder / "images",
        [files[row] for row in chosen],
        lambda row: table.place(chosen[row]),
        options,
        spare=files,
    )
    rows = [chosen[row] for row in found.rows]
    return Dataset(
        "ade20k",
        tuple(ids[row] for row in rows),
        found.images,
        np.array([[scenes[row] == name for name in classes] for row in rows]),
        classes,
        "single-label",
        np.array([places[row][1] for row in rows], np.int8),
        found.notes,
    )


def _read_scenes(path: Path) -> Table:
    """Lines of an image and its scene, separated by a space, without a header."""
    numbered = [
        (line, text.split()) for line, text in enumerate(read_text(path).splitlines(), 1) if text.strip()
    ]
    for line, row in numbered:
        if len(row) != 2:
            raise DatasetError(
                f"{path}, line {line}: {len(row)} words", "Write the image, a space, its scene"
            )
    return Table(path, ("image", "scene"), [row for _, row in numbered], [line for line, _ in numbered])


def _part(name: str, where: str) -> tuple[str, int]:
    for prefix, part in PARTS.items():
        if name.startswith(prefix):
            return part
    raise DatasetError(f"{where}: {name!r} belongs to neither part", f"Names begin with {' or '.join(PARTS)}")


def _most_frequent(scenes: list[str]) -> tuple[str, ...]:
    """The names of the classes, sorted."""
    counts = Counter(scenes)
    del counts["misc"]
    return tuple(sorted(sorted(counts, key=lambda name: (-counts[name], name))[:CLASSES]))
