"""What a reader of labels may be told."""

from dataclasses import dataclass
from typing import Literal

from imbpipe.types import Progress


@dataclass(frozen=True)
class ReadOptions:
    """How strict a loader is, and where it looks.

    empty_tags: a row without tags is an "error", or "negative" for every class.
    allow_missing: leave out labels without an image and images without a label, and note them.
    image_column, label_column: names of columns; None: the usual names.
    group_column: of the names of groups of images that belong together; None: each stands alone.
    label_separator: between the labels of a cell; "" never splits a cell; None: detected.
    progress: told of images drawn, where a data set draws itself on first use.
    images_needed: False reads the labels alone; the paths of images are computed, not looked for.
    """

    empty_tags: Literal["error", "negative"] = "error"
    allow_missing: bool = False
    image_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    label_separator: str | None = None
    images_needed: bool = True
    progress: Progress | None = None


STRICT = ReadOptions()
