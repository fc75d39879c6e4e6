"""What tests of strategies share: label sets in small, and the owners' Planet labels."""

import csv

import numpy as np

from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet


def training_set(labels, task="multi-label"):
    labels = np.asarray(labels, dtype=bool)
    names = tuple(f"class {i}" for i in range(labels.shape[1]))
    return TrainingSet(np.zeros((len(labels), 2), np.float32), labels, names, task)


def one_hot(classes, c):
    return np.eye(c, dtype=bool)[classes]


def planned(name, data, seed=0, **parameters):
    plan = STRATEGIES[name](data, np.random.default_rng(seed), **parameters)
    plan.check(*data.labels.shape)
    return plan


def drawn(name, data, seed=0, **parameters):
    rows = planned(name, data, seed, **parameters).phases[0].rows
    return np.arange(len(data.labels)) if rows is None else rows


def read_planet(folder):
    """Class names in alphabetical order, and (40479, 17) labels."""
    with open(folder / "planet_train_v2.csv", newline="") as file:
        tags = [set(row["tags"].split()) for row in csv.DictReader(file)]
    names = sorted(set().union(*tags))
    return names, np.array([[name in row for name in names] for row in tags])
