"""What cannot be trained on is refused here, before any work is done."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.stored import StoredFeatures
from imbpipe.errors import PlanError, StoreError, UsageError
from imbpipe.heads.losses import LOSSES
from imbpipe.heads.network import NETWORKS
from imbpipe.heads.run import Protocol, Run
from imbpipe.heads.start import check_start
from imbpipe.strategies.plan import Phase, Synthetic
from imbpipe.types import FeatureSource, Rows

BLOCK = 4096
"""Rows looked at together, so that a check takes no memory worth the name."""


def check(
    features: FeatureSource,
    labels: NDArray[Any],
    runs: Sequence[Run],
    protocol: Protocol,
    class_names: Sequence[str],
) -> None:
    """Raises UsageError (the protocol), StoreError (a feature is not finite), PlanError (a run).

    Stored features were checked when they were opened.
    """
    _check_protocol(protocol)
    if not isinstance(features, StoredFeatures):
        _check_finite(features, "the features")
    seen: set[int] = set()
    for run in runs:
        if run.seed < 0:
            raise UsageError(f"a seed of {run.seed}", "Seeds start at 0")
        run.plan.check(len(run.train), labels.shape[1])
        for phase in run.plan.phases:
            _check_loss(phase, labels.shape[1])
        if run.plan.start is not None:
            check_start(run.plan.start, protocol.head, features.shape[1], labels.shape[1])
        if id(run.train) not in seen:
            _check_positives(labels, run.train, class_names)
            seen.add(id(run.train))
        if run.plan.synthetic is not None and id(run.plan.synthetic) not in seen:
            _check_synthetic(run.plan.synthetic, features.shape[1], labels.shape[1])
            seen.add(id(run.plan.synthetic))
        if protocol.patience is not None and not len(run.validation):
            raise PlanError("early stopping without a validation row", "Leave out the patience")


def _check_protocol(protocol: Protocol) -> None:
    head = protocol.head
    if head.kind not in NETWORKS:
        raise UsageError(f"no head named {head.kind!r}", f"Known: {', '.join(NETWORKS)}")
    counts = {"epochs": protocol.epochs, "batch_size": protocol.batch_size, "hidden": head.hidden}
    counts |= {"step": protocol.step or 1, "patience": 1 if protocol.patience is None else protocol.patience}
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name} is {count}", "It starts at 1")
    if not 0 <= head.dropout < 1:
        raise UsageError(f"dropout is {head.dropout}", "It starts at 0 and stays below 1")
    for name, factor in (("learning_rate", protocol.learning_rate), ("gamma", protocol.gamma)):
        if not (np.isfinite(factor) and factor >= 0):
            raise UsageError(f"{name} is {factor}", "It is finite and not negative")


def _check_finite(features: FeatureSource, what: str) -> None:
    for start in range(0, len(features), BLOCK):
        finite = np.isfinite(features[start : start + BLOCK])
        if not finite.all():
            row, column = np.argwhere(~finite)[0] + (start, 0)
            fact = f"row {row} of {what} holds {features[row, column]} in dimension {column}"
            raise StoreError(fact, "Look for what else is wrong: imbpipe cache verify")


def _check_positives(labels: NDArray[Any], train: Rows, class_names: Sequence[str]) -> None:
    absent = np.flatnonzero(~(labels[train] > 0).any(0))
    if len(absent):
        name = f"{class_names[absent[0]]!r}" if class_names else f"{absent[0]}"
        more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        raise PlanError(
            f"class {name}{more} has no positive among {len(train)} training rows",
            "Leave the class out or split with another seed",
        )


def _check_loss(phase: Phase, classes: int) -> None:
    if phase.loss not in LOSSES:
        raise PlanError(f"no loss named {phase.loss!r}", f"Known: {', '.join(LOSSES)}")
    defaults = LOSSES[phase.loss].defaults
    for name in phase.parameters:
        if name not in defaults:
            known = f"Known: {', '.join(defaults) or 'none'}"
            raise PlanError(f"the loss {phase.loss!r} has no parameter {name!r}", known)
    for name, default in defaults.items():
        value = phase.parameters.get(name, default)
        if value is None:
            raise PlanError(f"the loss {phase.loss!r} needs its parameter {name!r}")
        what = f"the parameter {name!r} of {phase.loss!r}"
        if np.shape(value) not in ((), (1,), (classes,)):
            raise PlanError(f"{what} has shape {np.shape(value)} for {classes} classes")
        if not np.isfinite(value).all():
            raise PlanError(f"{what} is not finite")


def _check_synthetic(made: Synthetic, dimension: int, classes: int) -> None:
    rows = len(made.features)
    if made.features.shape != (rows, dimension) or made.labels.shape != (rows, classes):
        raise PlanError(
            f"synthetic rows of shapes {made.features.shape} and {made.labels.shape}"
            f" for {dimension} dimensions and {classes} classes"
        )
    _check_finite(made.features, "the synthetic features")
