"""What a metric is called on an axis, and the level that it is worth comparing with."""

from collections.abc import Callable

from imbpipe.evaluation.metrics import METRICS

LABELS = {
    "predicted_negative_rate": "share of images\npredicted negative\n(the paper's 'accuracy')",
    "brier": "Brier score (0 is best)",
    "ece": "expected calibration error (0 is best)",
}
"""Axis labels of metrics whose own docstring does not begin with one, or begins with less."""

REFERENCES: dict[str, tuple[str, Callable[[float], float]]] = {
    "ap": ("chance (the class's share of images)", lambda share: share),
    "auroc": ("chance", lambda share: 0.5),
    "balanced_accuracy": ("chance", lambda share: 0.5),
    "accuracy": ("always answering no", lambda share: 1 - share),
    "predicted_negative_rate": ("share that is negative", lambda share: 1 - share),
}
"""Of a metric: what the level is called, and its value from the class's share of the images."""


def metric_label(metric: str) -> str:
    """For an axis: "Average precision"; a metric that nobody registered goes by its name."""
    if metric in LABELS:
        return LABELS[metric]
    name, colon, _ = meaning(metric).partition(": ")
    return name if colon else metric.replace("_", " ")


def metric_phrase(metric: str) -> str:
    """Inside a sentence: "average precision", "F1"."""
    name = metric_label(metric).replace("\n", " ")
    return f"{name[:1].lower()}{name[1:]}" if name[1:2].islower() else name


def meaning(metric: str) -> str:
    """One plain sentence; empty for a metric that nobody registered."""
    return METRICS.summary(metric) if metric in METRICS else ""
