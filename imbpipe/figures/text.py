"""The words on a figure: titles of encoders, labels of classes, what a metric means."""

from collections.abc import Sequence

from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import show
from imbpipe.figures.fonts import drawable

TITLES = {
    "clip": "CLIP ViT-B/32",
    "resnet18": "ResNet-18",
    "timm:vit_small_patch14_dinov2": "DINOv2 ViT-S/14 (stands in for CLIP)",
}

LONGEST = 36
"""Characters of a class name; a longer one loses its middle."""


def encoder_title(encoder: str, weights: str) -> str:
    """What readers call an encoder; random weights are shouted.

    encoder: as the results name it ("timm:vit_small_patch14_dinov2@224").
    weights: pretrained, file or random.
    """
    title = TITLES.get(encoder.partition("@")[0], drawable(encoder))
    return f"{title}, RANDOM WEIGHTS" if weights == "random" else title


def shorten(name: str, longest: int = LONGEST) -> str:
    """`name` as it can be drawn, at most `longest` characters: its middle gives way to an ellipsis."""
    units = [drawable(char) for char in show(name)]
    if sum(map(len, units)) <= longest:
        return "".join(units)
    head, tail = "", ""
    for first, last in zip(units, reversed(units), strict=True):
        if len(head + first + last + tail) >= longest:
            break
        head, tail = head + first, last + tail
    return f"{head}…{tail}"


def class_label(name: str, count: int, *, longest: int = LONGEST) -> str:
    """ "blow_down (n=59)"."""
    return f"{shorten(name, longest)} (n={count:,})"


def dataset_phrase(dataset: Dataset) -> str:
    """ "planet, 40,479 images, 17 labels (multi-label)"; data that were drawn are said to be."""
    drawn = " (drawn sample data, not photographs)" if dataset.name.startswith("sample") else ""
    kind = "labels (multi-label)" if dataset.task == "multi-label" else "classes (single-label)"
    return f"{shorten(dataset.name)}{drawn}, {dataset.extent}, {len(dataset.class_names)} {kind}"


def whole_numbers(numbers: Sequence[int]) -> str:
    """ "0–9", or "1, 5, 9" where they have gaps."""
    ordered = sorted(set(numbers))
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))
