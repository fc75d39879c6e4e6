"""What a strategy decides, as data. The engine runs plans; no strategy trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import PlanError
from imbpipe.types import Features, Rows


@dataclass(frozen=True, eq=False)
class Synthetic:
    """Rows that a method makes; they stand after the n real ones and are numbered from n on.

    features: (m, d). labels: (m, c), in [0, 1].
    """

    features: Features
    labels: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Phase:
    """What the epochs from `start` on train on, until the next phase starts.

    start: fraction of the run, 0 <= start < 1.
    rows: (m,) the rows of an epoch, with repeats, in any order (every epoch shuffles them);
        None: every row once.
    probability: (n,) non-negative; where given, each epoch draws len(rows) rows anew with these
        probabilities (with replacement) and `rows` says only how many.
    weight: (n,) or (n, c), non-negative factors on the loss of a row or of a (row, class); None: 1.
    weight_per: `batch` gives every row of a batch the mean weight of the batch's rows.
    loss: a name in the engine's table of losses. parameters: the loss's own, e.g. {"gamma": 2.0}.
    offset: (c,) added to the logits while training only (logit adjustment); None: 0.
    """

    start: float = 0.0
    rows: Rows | None = None
    probability: NDArray[np.float64] | None = None
    weight: NDArray[np.float32] | None = None
    weight_per: Literal["row", "batch"] = "row"
    loss: str = "bce"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    offset: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Start:
    """A classifier that is known beforehand: its logits are scale * cosine(x, direction) + bias.

    direction: (c, d), rows of length 1. bias: (c,).
    length: of a typical x, by which a head that does not normalise its input divides the scale.
    """

    direction: NDArray[np.float32]
    bias: NDArray[np.float32]
    scale: float
    length: float


@dataclass(frozen=True)
class Cut:
    """How a class's threshold is chosen from the validation scores.

    rule: "f-beta" (value: beta), "fixed" (value: the threshold), or "paper" (the authors' search).
    """

    rule: Literal["f-beta", "fixed", "paper"]
    value: float = 0.0


@dataclass(frozen=True, eq=False)
class Plan:
    """One way to train a head on n rows.

    phases: in order of `start`; the first starts at 0.
    synthetic: rows made by the method, or None.
    start: what the head's parameters are before training; None: random.
    posthoc: (name, parameters) of the steps that change the trained head, in order; the names are those
        of the registry POSTHOC.
    cut: how its scores become predictions; None: as for every other run.
    """

    phases: tuple[Phase, ...] = (Phase(),)
    synthetic: Synthetic | None = None
    start: Start | None = None
    posthoc: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    cut: Cut | None = None

    @property
    def nbytes(self) -> int:
        """What its arrays take in memory."""
        arrays = [array for p in self.phases for array in (p.rows, p.probability, p.weight, p.offset)]
        if self.synthetic is not None:
            arrays += [self.synthetic.features, self.synthetic.labels]
        return sum({id(array): array.nbytes for array in arrays if array is not None}.values())

    def check(self, n: int, classes: int) -> None:
        """Refuse what cannot be trained on n rows of `classes` classes.

        Raises PlanError: no phase at 0, a row number out of range, nothing to draw, a shape that
        does not fit, a weight that is negative or not finite.
        """
        starts = [phase.start for phase in self.phases]
        if not starts or starts[0] != 0 or starts != sorted(starts) or starts[-1] >= 1:
            raise PlanError(f"the phases of a plan start at {starts}", "Start at 0, in order, below 1")
        rows = n if self.synthetic is None else n + len(self.synthetic.features)
        for phase in self.phases:
            _check_rows(phase, n, rows)
            _check_weight(phase, rows, classes)
            if phase.offset is not None and phase.offset.shape != (classes,):
                raise PlanError(f"an offset of shape {phase.offset.shape} for {classes} classes")


def _check_rows(phase: Phase, n: int, rows: int) -> None:
    drawn = n if phase.rows is None else len(phase.rows)
    if drawn == 0:
        raise PlanError("the plan draws no row", "Lower the threshold or give it more training rows")
    if phase.rows is not None and not (phase.rows.min() >= 0 and phase.rows.max() < rows):
        raise PlanError(f"the plan draws a row outside 0 to {rows - 1}")
    if phase.probability is not None:
        p = phase.probability
        if p.shape != (rows,) or not np.isfinite(p).all() or p.min() < 0 or p.sum() <= 0:
            raise PlanError(f"the probabilities of a plan must be {rows} non-negative numbers, not all 0")


def _check_weight(phase: Phase, rows: int, classes: int) -> None:
    if phase.weight is None:
        return
    if phase.weight.shape not in ((rows,), (rows, classes)):
        raise PlanError(f"weights of shape {phase.weight.shape} for {rows} rows of {classes} classes")
    if not np.isfinite(phase.weight).all() or phase.weight.min() < 0:
        raise PlanError("a weight of the plan is negative or not finite", "Weights start at 0")
