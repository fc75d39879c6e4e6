"""What is imbalanced about a data set, in words."""

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts, low_frequency

NAMED = 6
"""Low-frequency classes that are named; of more, the rarest."""


def describe_imbalance(dataset: Dataset, percentile: float = 25.0) -> list[str]:
    """A few sentences: how many images and classes, the most and the least frequent, and who is rare.

    percentile: of the counts, at or below which a class is low-frequency, here over all images.
    """
    counts = class_counts(dataset.labels)
    n = len(dataset)
    order = np.argsort(counts, kind="stable")
    rarest, commonest = int(order[0]), int(order[-1])
    names = dataset.class_names
    if dataset.task == "single-label":
        labels = f"{len(names)} classes, one an image"
    else:
        labels = f"{len(names)} labels, {dataset.labels.sum(axis=1).mean():.1f} an image on average"
    said = [f"{dataset.name}: {n:,} images with {labels}."]
    if counts[rarest] == counts[commonest]:
        return [*said, f"Every class is as frequent as every other: {counts[rarest]:,} images each."]
    said.append(
        f"Most frequent: {names[commonest]!r} on {counts[commonest]:,} images ({counts[commonest] / n:.1%}). "
        f"Rarest: {names[rarest]!r} on {counts[rarest]:,} ({counts[rarest] / n:.1%})"
        + (f", {counts[commonest] / counts[rarest]:,.1f} times fewer." if counts[rarest] else ".")
    )
    low = [int(c) for c in order if low_frequency(counts, percentile)[c]]
    more = f" and {len(low) - NAMED} more" if len(low) > NAMED else ""
    said.append(
        f"Low-frequency classes (counts up to the percentile {percentile:g}): "
        + ", ".join(f"{names[c]} ({counts[c]:,})" for c in low[:NAMED])
        + f"{more}."
    )
    return said
