"""Small training sets whose features are worth comparing: made by hand, or around a centre a class."""

import numpy as np

from imbpipe.types import TrainingSet


def training_set(features, labels, task="single-label"):
    features, labels = np.array(features, np.float32), np.array(labels, bool)
    for array in (features, labels):
        array.flags.writeable = False
    return TrainingSet(features, labels, tuple(f"class {i}" for i in range(labels.shape[1])), task)


def random_set(task, counts=(30, 9, 2, 1, 0), seed=0):
    """Features around a centre a class, (d = 8). Multi-label: some images have class 0 as a second label."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    labels = np.eye(len(counts), dtype=bool)[classes]
    if task == "multi-label":
        labels[:, 0] |= rng.random(len(labels)) < 0.5
    features = 2 * rng.normal(size=(len(counts), 8))[classes] + rng.normal(size=(len(classes), 8))
    return training_set(features, labels, task)
