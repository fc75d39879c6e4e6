"""`sample-scenes`: scenes from the air drawn by a program, with ADE20K's long tail."""

from functools import partial
from pathlib import Path

import numpy as np

from imbpipe.datasets.dataset import DATASETS, Dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.types import Progress

IMAGES = 1600


@DATASETS.add("sample-scenes")
def scenes(root: Path, options: ReadOptions) -> Dataset:
    """1,627 drawn scenes from the air, 20 classes with the long tail of ADE20K's twenty.

    It stands in for ADE20K where that set is not at hand. Every picture is drawn by a program and shows
    no real place; the folder is drawn on first use. The rarest classes are lifted to 40 pictures and a
    little above, in their real order.

    Source: class sizes in the proportions of the 20 scenes of Panigrahi & Zhu (2023), Fig. 3.

    Terms: none; the pictures belong to nobody.
    """
    from imbpipe.datasets.drawing.aerial import CLASS_NAMES, scene_counts

    if options.images_needed:
        draw_scenes(root, images=IMAGES, progress=options.progress)
    sizes = scene_counts(IMAGES)
    ids = tuple(_image(name, number) for name, size in sizes.items() for number in range(size))
    labels = np.repeat(np.eye(len(sizes), dtype=bool), list(sizes.values()), axis=0)
    images = tuple(root / "sample-scenes" / image for image in ids)
    return Dataset("sample-scenes", ids, images, labels, CLASS_NAMES, "single-label")


def draw_scenes(
    root: Path,
    *,
    images: int = IMAGES,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """`root`/sample-scenes with one folder a class, drawn unless it is there: forest/000.jpg and so on.

    images: about how many; each class has its share of them, the rarest a fortieth.
    The same arguments give the same bytes, whatever the number of workers.
    Raises DatasetError: the folder holds something else, or cannot be written.
    """
    from imbpipe.datasets.drawing.aerial import VERSION, draw_scene, scene_counts
    from imbpipe.datasets.drawing.folder import provide

    files = {
        _image(name, number): partial(draw_scene, name, seed, number)
        for name, size in scene_counts(images).items()
        for number in range(size)
    }
    recipe = {"drawing": "sample-scenes", "version": VERSION, "seed": seed, "images": images}
    provide(root / "sample-scenes", recipe, files, workers=workers, progress=progress)
    return root / "sample-scenes"


def _image(name: str, number: int) -> str:
    return f"{name}/{number:03d}.jpg"
