"""`sample`: chips drawn by a program, in Planet's layout and with its label structure."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from imbpipe.datasets.dataset import DATASETS, Dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.types import Progress

CHIPS = 2400


@DATASETS.add("sample")
def sample(root: Path, options: ReadOptions) -> Dataset:
    """2,400 drawn chips with Planet's 17 labels, their co-occurrence and their long tail.

    Every picture is drawn by a program and comes from no satellite; the folder is drawn on first use.
    The rare labels are lifted to 51 chips and a little above, in their real order.

    Source: label sets as often as in "Planet: Understanding the Amazon from Space" (Kaggle, 2017).

    Terms: none; the pictures belong to nobody.
    """
    from imbpipe.datasets.drawing.label_sets import CLASS_NAMES, label_table

    if options.images_needed:
        draw_sample(root, chips=CHIPS, progress=options.progress)
    ids = tuple(f"train_{number}" for number in range(CHIPS))
    images = tuple(root / "sample" / _image(name) for name in ids)
    return Dataset("sample", ids, images, label_table(CHIPS, seed=0), CLASS_NAMES, "multi-label")


def draw_sample(
    root: Path,
    *,
    chips: int = CHIPS,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """`root`/sample in Planet's layout, drawn unless it is there: train-jpg/train_0.jpg … and train_v2.csv.

    The same arguments give the same bytes, whatever the number of workers.
    Raises DatasetError: the folder holds something else, or cannot be written.
    """
    from imbpipe.datasets.drawing.amazon import VERSION, draw_chip
    from imbpipe.datasets.drawing.folder import provide
    from imbpipe.datasets.drawing.label_sets import CLASS_NAMES, label_table

    labels = label_table(chips, seed)
    tags = [[name for name, has in zip(CLASS_NAMES, row, strict=True) if has] for row in labels]
    files: dict[str, Callable[[], bytes]] = {
        _image(f"train_{i}"): partial(draw_chip, row, seed, i) for i, row in enumerate(tags)
    }
    files["train_v2.csv"] = partial(_table, tags)
    recipe = {"drawing": "sample", "version": VERSION, "seed": seed, "images": chips}
    provide(root / "sample", recipe, files, workers=workers, progress=progress)
    return root / "sample"


def _image(name: str) -> str:
    return f"train-jpg/{name}.jpg"


def _table(tags: list[list[str]]) -> bytes:
    rows = (f"train_{i},{' '.join(row)}\n" for i, row in enumerate(tags))
    return ("image_name,tags\n" + "".join(rows)).encode()
