"""A comparison that is ready to run on anyone's images: a short list of strategies, as an experiment file."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imbpipe.datasets.frequency import Counts
from imbpipe.experiments.experiment import Experiment, experiment_of
from imbpipe.types import Task

ENCODERS = ("clip", "resnet18")
"""The first that can be had."""

SHORT_LIST: tuple[Mapping[str, Any], ...] = (
    {"strategy": "upweight", "factor": 5, "per": "label"},
    {"strategy": "effective-number"},
    {"strategy": "undersample"},
    {"strategy": "oversample"},
    {"strategy": "oversample", "length": "steps"},
    {"strategy": "class-aware", "length": "steps"},
    {"strategy": "focal"},
    {"strategy": "logit-adjusted-loss"},
)
"""One of each kind: weights by rule of thumb and by count, fewer and more images, more images at the
baseline's number of steps, classes drawn alike, and two losses."""

FOR_TASK: Mapping[Task, tuple[Mapping[str, Any], ...]] = {
    "single-label": ({"strategy": "softmax"},),  # what of logit-adjusted-loss is not the softmax's
    "multi-label": ({"strategy": "asymmetric"},),
}

MEASURABLE = 15
"""Images from which on a class nearly always has the two in a test part of a fifth that an interval needs."""

SEEDS, SPLITS = 2, 3
"""Repeats of every strategy: each split is another division into training, validation and test images."""


def percentile_for(counts: Counts) -> float:
    """Up to which percentile of the counts a class is called low-frequency: 25, and more where classes that
    are too rare to be measured would take up that quarter; a quarter of the others then stand beside them."""
    ordered = np.sort(counts)
    too_rare = int(np.count_nonzero(ordered < MEASURABLE))
    if not 0 < too_rare < len(ordered):
        return 25.0
    last = too_rare + -(-(len(ordered) - too_rare) // 4) - 1
    return max(25.0, float(np.ceil(1000 * last / (len(ordered) - 1)) / 10))


def hardly_measurable(counts: Counts) -> list[str]:
    """A sentence where some classes are so rare that the answer can hardly be about them."""
    rare = int(np.count_nonzero(counts < MEASURABLE))
    if not rare:
        return []
    return [
        f"{rare} of {len(counts)} classes have fewer than {MEASURABLE} images: too few to tell much of them"
    ]


def quick_file(
    dataset: str,
    task: Task,
    encoders: Sequence[str] = ENCODERS,
    reading: Mapping[str, Any] | None = None,
    *,
    strategies: Sequence[Mapping[str, Any]] | None = None,
    seeds: int = SEEDS,
    splits: int = SPLITS,
    metric: str = "ap",
    percentile: float = 25.0,
) -> str:
    """The experiment file. dataset: a name or path. encoders: alternatives. percentile: see `percentile_for`.

    reading: what the user said of how to read label files (see `Experiment`).
    strategies: entries in the place of the short list.
    """
    entries = [*SHORT_LIST, *FOR_TASK[task]] if strategies is None else strategies
    lines = [
        "# Which way of handling class imbalance helps on these images? Add what else to compare, then run",
        "# `imbpipe compare` and `imbpipe report` with this file: what is finished is not trained again.",
        "",
        f"datasets = [{_text(dataset)}]",
        f"encoders = [[{', '.join(map(_text, encoders))}]]",
        f"seeds = {seeds}",
        f"splits = {splits}",
        f"metric = {_text(metric)}",
        f"percentile = {percentile}",
        "choose = false",
    ]
    if reading:
        lines += ["", "[reading]", *(f"{name} = {_value(value)}" for name, value in reading.items())]
    for entry in entries:
        lines += ["", "[[strategies]]", *(f"{name} = {_value(value)}" for name, value in entry.items())]
    return "\n".join([*lines, ""])


def quick_experiment(text: str) -> Experiment:
    """What such a file says. Raises UsageError, UnknownNameError."""
    return experiment_of(tomllib.loads(text))


def _value(value: Any) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """A TOML string: JSON's but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
