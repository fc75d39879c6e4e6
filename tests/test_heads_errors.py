"""What cannot be trained is refused before training, in one line that names it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imbpipe.errors import ImbpipeError, PlanError, StoreError, UsageError
from imbpipe.heads.bank import train_heads
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Phase, Plan, Synthetic

PROTOCOL = Protocol(HeadConfig(hidden=4), epochs=2)
NAMES = ("haze", "road", "water")


def refusal(plan: Plan = Plan(), protocol: Protocol = PROTOCOL, **changed: Any) -> ImbpipeError:  # noqa: B008
    """The error of training `plan` on 20 rows, 5 dimensions, 3 classes; `changed` replaces arguments."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 5)).astype(np.float32), rng.random((30, 3)) < 0.5
    run = Run(np.arange(20), np.arange(20, 30), plan, 0)
    given = {"features": features, "labels": labels, "runs": [run], "class_names": NAMES, **changed}
    with pytest.raises(ImbpipeError) as caught:
        train_heads(given.pop("features"), given.pop("labels"), given.pop("runs"), protocol, **given)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_named_by_row_and_dimension(value: float) -> None:
    features = np.zeros((30, 5), np.float32)
    features[17, 3] = value
    error = refusal(features=features)
    assert isinstance(error, StoreError)
    assert f"row 17 of the features holds {value} in dimension 3" in str(error)


def test_a_class_without_a_positive_in_training_is_named() -> None:
    labels = np.ones((30, 3), bool)
    labels[:20, 1] = False
    assert "class 'road' has no positive among 20 training rows" in str(refusal(labels=labels))
    labels[:20, 2] = False
    error = refusal(labels=labels, class_names=())
    assert isinstance(error, PlanError)
    assert "class 1 (and 1 more) has no positive" in str(error)


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (Phase(rows=np.array([], np.int64)), "draws no row"),
        (Phase(rows=np.array([0, 20])), "a row outside 0 to 19"),
        (Phase(rows=np.array([-1])), "a row outside 0 to 19"),
        (Phase(weight=np.full(20, -0.5, np.float32)), "negative"),
        (Phase(weight=np.full(20, np.nan, np.float32)), "not finite"),
        (Phase(weight=np.ones(7, np.float32)), "weights of shape (7,) for 20 rows"),
        (Phase(probability=np.zeros(20)), "not all 0"),
        (Phase(offset=np.zeros(2, np.float32)), "an offset of shape (2,) for 3 classes"),
        (Phase(loss="hinge"), "no loss named 'hinge'. Known: bce, focal"),
        (Phase(loss="focal", parameters={"gama": 2}), "no parameter 'gama'. Known: gamma, alpha"),
        (Phase(loss="bce", parameters={"gamma": 2}), "no parameter 'gamma'. Known: none"),
        (Phase(loss="ldam"), "needs its parameter 'margin'"),
        (Phase(loss="ldam", parameters={"margin": np.ones(2)}), "'margin' of 'ldam' has shape (2,)"),
        (Phase(loss="focal", parameters={"gamma": np.inf}), "'gamma' of 'focal' is not finite"),
    ],
)
def test_a_plan_that_cannot_be_trained_is_refused(phase: Phase, said: str) -> None:
    error = refusal(Plan((phase,)))
    assert isinstance(error, PlanError)
    assert said in str(error)


@pytest.mark.parametrize("starts", [(0.0, 0.9), (0.0, 0.6, 0.8)])
def test_a_phase_in_which_no_epoch_would_train_is_refused(starts: tuple[float, ...]) -> None:
    assert "no epoch of 2 trains in the phase that starts after" in str(
        refusal(Plan(tuple(Phase(start) for start in starts)))
    )


def test_synthetic_rows_that_do_not_fit_are_refused() -> None:
    def made(features: np.ndarray, labels: np.ndarray) -> str:
        return str(refusal(Plan(synthetic=Synthetic(features.astype(np.float32), labels.astype(np.float32)))))

    assert "(4, 6) and (4, 3) for 5 dimensions and 3 classes" in made(np.zeros((4, 6)), np.zeros((4, 3)))
    assert "(4, 5) and (3, 3)" in made(np.zeros((4, 5)), np.zeros((3, 3)))
    assert "row 2 of the synthetic features holds nan" in made(
        np.where(np.arange(20).reshape(4, 5) == 11, np.nan, 0), np.zeros((4, 3))
    )


def test_a_seed_below_0_is_refused() -> None:
    run = Run(np.arange(20), np.arange(0), Plan(), -1)
    assert "a seed of -1" in str(refusal(runs=[run]))


def test_early_stopping_needs_validation_rows() -> None:
    rng = np.random.default_rng(0)
    run = Run(np.arange(20), np.arange(0), Plan(), 0)
    error = refusal(labels=rng.random((30, 3)) < 0.9, runs=[run], protocol=replace(PROTOCOL, patience=2))
    assert "early stopping without a validation row" in str(error)


def test_a_memory_budget_that_holds_no_head_is_refused_with_what_one_takes() -> None:
    error = refusal(memory=10_000)
    assert isinstance(error, UsageError)
    assert "a memory budget of 0.0 MiB" in str(error)
    assert "MiB" in str(error).split("one head at a time takes")[1]


def test_a_device_that_is_not_there_is_refused() -> None:
    assert "no CUDA device here" in str(refusal(device="cuda"))
    assert "no device 'gpu'" in str(refusal(device="gpu"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"step": -1}, "step is -1"),
        ({"learning_rate": np.nan}, "learning_rate is nan"),
        ({"head": HeadConfig(dropout=1.0)}, "dropout is 1.0"),
        ({"head": HeadConfig(hidden=0)}, "hidden is 0"),
        ({"head": HeadConfig(kind="forest")}, "no head named 'forest'. Known: linear, mlp, cosine"),
    ],
)
def test_a_protocol_that_cannot_be_meant_is_refused(change: dict[str, Any], said: str) -> None:
    error = refusal(protocol=replace(PROTOCOL, **change))
    assert isinstance(error, UsageError)
    assert said in str(error)
