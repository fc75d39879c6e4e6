"""Planet: Understanding the Amazon from Space."""

from pathlib import Path

from imbpipe.datasets.dataset import DATASETS, Dataset
from imbpipe.datasets.images import check_ids, find_images
from imbpipe.datasets.labels import encode_tags
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.owner import owners_file
from imbpipe.datasets.table import read_delimited

TAGS = (
    "agriculture", "artisinal_mine", "bare_ground", "blooming", "blow_down", "clear", "cloudy",
    "conventional_mine", "cultivation", "habitation", "haze", "partly_cloudy", "primary", "road",
    "selective_logging", "slash_burn", "water",
)  # fmt: skip


@DATASETS.add("planet")
def planet(root: Path, options: ReadOptions) -> Dataset:
    """40,479 satellite chips of the Amazon, 256x256 pixels, 17 labels, several an image.

    Read as its owners publish it: planet/train-jpg/*.jpg with planet/train_v2.csv (or train_classes.csv).

    Source: https://www.kaggle.com/c/planet-understanding-the-amazon-from-space

    Terms: competition data; research use under the rules that Kaggle shows before the download.
    """
    folder = root / "planet"
    table = read_delimited(owners_file("planet", folder, "train_v2.csv", "train_classes.csv"))
    names = table.column(options.image_column or "image_name", "--image-column")
    ids = [name.removesuffix(".jpg") for name in names]
    check_ids(ids, table.place)
    cells = table.column(options.label_column or "tags", "--label-column")
    separator = " " if options.label_separator is None else options.label_separator
    matrix, tags = encode_tags(cells, separator, table.place, options, TAGS)
    found = find_images(folder / "train-jpg", ids, table.place, options)
    kept = tuple(ids[row] for row in found.rows)
    return Dataset("planet", kept, found.images, matrix[found.rows], tags, "multi-label", notes=found.notes)
