"""Strategies that train as the baseline does, keep the hidden layer, and make the classifier anew."""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import PlanError, UsageError
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.posthoc import Loss, plain_phase
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Labels, TrainingSet


@STRATEGIES.add("crt")
def crt(data: TrainingSet, rng: Generator, *, second_epochs: int = 10, loss: Loss = "auto") -> Plan:
    """Classifier re-training: a second stage on class-balanced draws, with the hidden layer frozen.

    A class is drawn first, each with the same probability, then one of its images; on multi-label data
    images without any label are never drawn in this stage. A head without a hidden layer is trained anew.

    second_epochs: of the second stage, each of as many draws as there are training images.
    loss: `softmax` over classes, `bce` for each class; `auto`: softmax on single-label data, else bce.

    Source: Kang et al. (2020), section 4.2; 10 epochs as theirs.
    """
    if second_epochs < 1:
        raise UsageError(f"strategy 'crt': second_epochs is {second_epochs}", "It starts at 1")
    first = plain_phase(data, loss)
    second = Phase(rows=np.arange(len(data.labels)), probability=class_balanced(data.labels), loss=first.loss)
    return Plan((first,), posthoc=(("retrain-classifier", {"phase": second, "epochs": second_epochs}),))


@STRATEGIES.add("lws")
def lws(data: TrainingSet, rng: Generator, *, loss: Loss = "auto") -> Plan:
    """Learnable weight scaling: a second stage that fits one factor a class, all else frozen.

    The factors, from 0.1 to 10, have the least expected loss on class-balanced draws (as `crt` draws). With
    sigmoid outputs the order of images within a class, and so AP and AUROC, stay.

    loss: `softmax` over classes, `bce` for each class; `auto`: softmax on single-label data, else bce.

    Source: Kang et al. (2020), section 4.2.
    """
    step = ("class-scales", {"probability": class_balanced(data.labels)})
    return Plan((plain_phase(data, loss),), posthoc=(step,))


@STRATEGIES.add("nearest-class-mean")
def nearest_class_mean(
    data: TrainingSet,
    rng: Generator,
    *,
    distance: Literal["euclidean", "cosine"] = "cosine",
    loss: Loss = "auto",
) -> Plan:
    """Give an image to the class with the nearest mean, on the trained hidden layer.

    On multi-label data each class by itself: its mean against the mean of all other images. The scale of
    the scores is a temperature, fitted on the validation images.

    distance: `euclidean`, or `cosine` between vectors that are all brought to length 1.
    loss: that the hidden layer is trained with; `softmax`, `bce`, or `auto` by the kind of data.

    Source: Kang et al. (2020), section 4.2; Snell et al. (2017), section 2.
    """
    means = {"distance": distance, "softmax": data.task == "single-label"}
    return Plan((plain_phase(data, loss),), posthoc=(("class-means", means), ("temperature", {})))


def class_balanced(labels: Labels) -> NDArray[np.float64]:
    """(n,) the probability of each image if a class is drawn first, then one of its images.

    Raises PlanError: no image has a class.
    """
    counts = class_counts(labels)
    present = counts > 0
    if not present.any():
        raise PlanError("no training image has a class", "Give it labelled images")
    return (labels[:, present] / counts[present]).sum(axis=1) / present.sum()
