"""Strategies that begin with the names of the classes, as the encoder's text tower understands them."""

from functools import wraps
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.cache.stored import blocks
from imbpipe.errors import PlanError, UsageError
from imbpipe.strategies.plan import Plan, Start
from imbpipe.strategies.posthoc import Loss, plain_phase
from imbpipe.strategies.strategy import STRATEGIES, Strategy
from imbpipe.types import FeatureSource, TrainingSet

CLIP_SCALE = 100.0
"""What CLIP multiplies cosines by: Radford et al. (2021), section 2.5, the largest that they allow."""

_READERS: set[Strategy] = set()


def reads_text(strategy: str) -> bool:
    """Whether the strategy's plans depend on text features."""
    return STRATEGIES[strategy] in _READERS


def _from_text(strategy: Strategy) -> Strategy:
    """A strategy that refuses data without text features."""

    @wraps(strategy)
    def checked(data: TrainingSet, rng: Generator, **parameters: Any) -> Plan:
        if data.text is None:
            raise PlanError(
                f"strategy {strategy.__name__.replace('_', '-')!r} needs text features of the class names, "
                "and there are none beside these features",
                "Encode with a CLIP model: imbpipe extract --encoder clip (or open_clip:MODEL/TAG)",
            )
        return strategy(data, rng, **parameters)

    _READERS.add(checked)
    return checked


@STRATEGIES.add("zero-shot")
@_from_text
def zero_shot(data: TrainingSet, rng: Generator, *, scale: float = CLIP_SCALE) -> Plan:
    """Classify by the names of the classes alone: 100 times the cosine of image and text features.

    No training label is looked at. Single-label: a softmax over the classes. Multi-label: a sigmoid of how
    far the logit is above the class's mean over the training images, as no caption says what is absent.

    scale: that cosines are multiplied with.

    Source: Radford et al. (2021), section 3.1.
    """
    start = _start("zero-shot", data, scale)
    softmax = data.task == "single-label"
    return Plan(
        (plain_phase(data, "bce"),), posthoc=(("given-classifier", {"start": start, "softmax": softmax}),)
    )


@STRATEGIES.add("text-init")
@_from_text
def text_init(data: TrainingSet, rng: Generator, *, scale: float = CLIP_SCALE, loss: Loss = "auto") -> Plan:
    """Start training from the zero-shot classifier, and go on as the baseline does.

    A cosine head starts as the zero-shot classifier itself; a linear head, which does not normalise its
    input, with weights divided by the mean length of the training features. The MLP carries each class on
    two of its hidden units and so starts as the linear head does, dropout aside; it needs 2 units a class.

    scale: that cosines are multiplied with at the start.
    loss: `softmax` over classes, `bce` for each class; `auto`: softmax on single-label data, else bce.

    Source: Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", for starting from text.
    """
    return Plan((plain_phase(data, loss),), start=_start("text-init", data, scale))


def _start(strategy: str, data: TrainingSet, scale: float) -> Start:
    """The zero-shot classifier; on multi-label data with each class's mean logit taken off."""
    if not (np.isfinite(scale) and scale > 0):
        raise UsageError(f"strategy {strategy!r}: scale is {scale}", "It is a number above 0")
    text = data.text
    assert text is not None
    length, mean = _typical(data.source)
    bias = np.zeros(len(text), np.float32)
    if data.task == "multi-label":
        bias = -scale * (text @ mean)
    direction = text / np.linalg.norm(text, axis=1, keepdims=True)
    return Start(direction, bias, scale, length or 1.0)


def _typical(features: FeatureSource) -> tuple[float, NDArray[np.float32]]:
    """The mean length of rows, and (d,) the mean of rows scaled to length 1; in one pass."""
    length, unit = 0.0, np.zeros(features.shape[1])
    for _, x in blocks(features):
        lengths = np.linalg.norm(x, axis=1)
        length += float(lengths.sum(dtype=np.float64))
        unit += (x / np.maximum(lengths, 1e-12)[:, None]).sum(axis=0, dtype=np.float64)
    return length / len(features), (unit / len(features)).astype(np.float32)
