"""What cannot be trained on is refused here, before any work is done."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import PlanError, StoreError
from imbpipe.heads.losses import LOSSES
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.plan import Phase, Synthetic
from imbpipe.types import Features, Rows

BLOCK = 4096
"""Rows looked at together, so that a check takes no memory worth the name."""


def check(
    features: Features,
    labels: NDArray[Any],
    runs: Sequence[Run],
    protocol: Protocol,
    class_names: Sequence[str],
) -> None:
    """Raises StoreError (a feature is not finite), PlanError (a run that cannot be trained)."""
    _check_finite(features, "the features")
    seen: set[int] = set()
    for run in runs:
        run.plan.check(len(run.train), labels.shape[1])
        for phase in run.plan.phases:
            _check_loss(phase)
        if id(run.train) not in seen:
            _check_positives(labels, run.train, class_names)
            seen.add(id(run.train))
        if run.plan.synthetic is not None and id(run.plan.synthetic) not in seen:
            _check_synthetic(run.plan.synthetic, features.shape[1], labels.shape[1])
            seen.add(id(run.plan.synthetic))
        if protocol.patience is not None and not len(run.validation):
            raise PlanError("early stopping without a validation row", "Leave out the patience")


def _check_finite(features: Features, what: str) -> None:
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


def _check_loss(phase: Phase) -> None:
    if phase.loss not in LOSSES:
        raise PlanError(f"no loss named {phase.loss!r}", f"Known: {', '.join(LOSSES)}")
    defaults = LOSSES[phase.loss].defaults
    for name in phase.parameters:
        if name not in defaults:
            raise PlanError(
                f"the loss {phase.loss!r} has no parameter {name!r}", f"Known: {', '.join(defaults)}"
            )
    for name, default in defaults.items():
        if phase.parameters.get(name, default) is None:
            raise PlanError(f"the loss {phase.loss!r} needs its parameter {name!r}")


def _check_synthetic(made: Synthetic, dimension: int, classes: int) -> None:
    rows = len(made.features)
    if made.features.shape != (rows, dimension) or made.labels.shape != (rows, classes):
        raise PlanError(
            f"synthetic rows of shapes {made.features.shape} and {made.labels.shape}"
            f" for {dimension} dimensions and {classes} classes"
        )
    _check_finite(made.features, "the synthetic features")
