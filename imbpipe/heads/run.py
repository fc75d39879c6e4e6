"""What one head is trained on, and how."""

from dataclasses import dataclass, field
from typing import Literal

from imbpipe.strategies.plan import Plan
from imbpipe.types import Rows


@dataclass(frozen=True)
class HeadConfig:
    """The classifier: the paper's is Linear(d, 128), ReLU, Dropout(0.2), Linear(128, c), Sigmoid.

    kind: that, one linear layer, or cosines with one direction a class. hidden, dropout: of the "mlp" alone.

    Source: Panigrahi & Zhu (2023), section 4.
    """

    kind: Literal["mlp", "linear", "cosine"] = "mlp"
    hidden: int = 128
    dropout: float = 0.2


@dataclass(frozen=True)
class Protocol:
    """How every head of a grid is trained: the paper's Adam, learning rate 1e-3, batch 64, 20 epochs.

    head: the classifier. epochs: passes over the drawn rows. batch_size: rows of a step.
    learning_rate: Adam's.
    step, gamma: multiply the learning rate by gamma every `step` epochs; None: constant.
    patience: stop a head after this many epochs without a better validation loss; None: never.

    Source: Panigrahi & Zhu (2023), section 4.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    step: int | None = None
    gamma: float = 0.1
    patience: int | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """One head: a plan over its training rows, and a seed.

    train: (n,) rows of the whole feature matrix; the plan's row numbers count within these.
    validation: (v,) rows for early stopping; unused without `patience`.
    seed: of initialisation, shuffling, drawing and dropout. Runs with the same seed share them.
    """

    train: Rows
    validation: Rows
    plan: Plan
    seed: int
