"""What a reader of labels may be told."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ReadOptions:
    """How strict a loader is, and where it looks.

    empty_tags: a row without tags is an "error", or "negative" for every class.
    allow_missing: leave out labels without an image and images without a label, and note them.
    image_column, label_column: names of columns; None: the usual names.
    label_separator: between the labels of a cell; "" never splits a cell; None: detected.
    images_needed: False reads the labels alone; the paths of images are computed, not looked for.
    """

    empty_tags: Literal["error", "negative"] = "error"
    allow_missing: bool = False
    image_column: str | None = None
    label_column: str | None = None
    label_separator: str | None = None
    images_needed: bool = True


STRICT = ReadOptions()
