"""Every registered strategy, on small and awkward data of either kind: a new one is tested here.

What a family computes is tested in a file of its own.
"""

from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imbpipe.errors import PlanError, UnknownNameError, UsageError
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES, parameters_of, read_parameters
from imbpipe.types import TrainingSet

EPOCHS = 10
"""Of the training below; a plan's default phases must each find an epoch among so many."""

TASKS = ("single-label", "multi-label")
EVERY = pytest.mark.parametrize("name", list(STRATEGIES))
EITHER_TASK = pytest.mark.parametrize("task", TASKS)


def training_set(labels, task, seed=0, *, duplicates=False):
    """(n, 8) random features of which nothing may be overwritten."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels, dtype=bool)
    features = rng.normal(size=(len(labels), 8)).astype(np.float32)
    if duplicates:
        features = features[rng.integers(0, -(-len(labels) // 3), len(labels))]
    for array in (features, labels):
        array.flags.writeable = False
    names = tuple(f"class {i}" for i in range(labels.shape[1]))
    return TrainingSet(features, labels, names, task, np.ones((len(names), 8), np.float32))


def awkward_labels(n, task, rare, common, seed):
    """(n, rare + common) labels: classes 0, 1, 2 … of as many examples, where n allows, then common ones."""
    rng = np.random.default_rng(seed)
    c = len(rare) + common
    if task == "single-label":
        classes = len(rare) + rng.integers(0, common, n)
        order, taken = rng.permutation(n), 0
        for column, count in enumerate(rare):
            classes[order[taken : taken + count]] = column
            taken += count
        return np.eye(c, dtype=bool)[classes]
    labels = rng.random((n, c)) < rng.random(c) ** 2
    for column, count in enumerate(rare):
        labels[:, column] = False
        labels[rng.permutation(n)[:count], column] = True
    labels[rng.integers(n), -1] = True
    return labels


@st.composite
def training_sets(draw, task):
    """n from 1 to 60; classes of 0, 1 and 2 examples among up to 6; images without labels; duplicates."""
    rare = draw(st.sampled_from([(), (0,), (1,), (2,), (0, 1), (0, 1, 2), (1, 1, 2)]))
    seed = draw(st.integers(0, 10**6))
    labels = awkward_labels(draw(st.integers(1, 60)), task, rare, draw(st.integers(1, 3)), seed)
    return training_set(labels, task, seed, duplicates=draw(st.booleans()))


@cache
def refusal(name, task):
    """What the strategy answers to easy data of this kind (50 images, 4 classes) if it gives no plan."""
    labels = np.eye(4, dtype=bool)[np.arange(50) % 4]
    if task == "multi-label":
        labels |= np.roll(labels, 13, axis=0)
    try:
        planned(name, training_set(labels, task))
    except (PlanError, UsageError) as error:
        return str(error)
    return None


def planned(name, data, seed=0):
    plan = STRATEGIES[name](data, np.random.default_rng(seed))
    plan.check(*data.labels.shape)
    return plan


def asserted_plan(name, data, seed=0) -> Plan | None:
    """The strategy's plan; or None where it refuses this kind of data, whatever the data are."""
    if refusal(name, data.task) is None:
        return planned(name, data, seed)
    with pytest.raises((PlanError, UsageError)):
        planned(name, data, seed)
    return None


@EVERY
def test_every_strategy_says_where_it_comes_from_and_what_its_parameters_mean(name):
    facts = STRATEGIES.facts(name)
    assert facts["Source"]
    assert set(parameters_of(name)) <= set(facts)
    assert all(parameter.default is not parameter.empty for parameter in parameters_of(name).values())
    assert STRATEGIES.summary(name).endswith(".")


@EVERY
def test_a_strategy_that_is_for_one_kind_of_labels_says_so_in_its_facts_and_its_refusal(name):
    """Under `Task:`, "single-label" or "multi-label"; under `Needs:`, what else a training set must hold."""
    facts = STRATEGIES.facts(name)
    refused = {task: refusal(name, task) for task in TASKS}
    for task, message in refused.items():
        if message is not None:
            assert repr(name) in message
        if "Needs" in facts:
            assert message is not None
        else:
            assert (message is not None) == ("Task" in facts and task not in facts["Task"])


@EITHER_TASK
@EVERY
@settings(max_examples=12)
@given(data=st.data(), seed=st.integers(0, 3))
def test_every_strategy_gives_a_plan_that_can_be_run_and_the_same_for_the_same_seed(name, task, data, seed):
    training = data.draw(training_sets(task))
    plan = asserted_plan(name, training, seed)
    if plan is not None:
        np.testing.assert_equal(asdict(plan), asdict(planned(name, training, seed)))


@EITHER_TASK
@EVERY
def test_every_strategy_trains_where_classes_have_1_2_and_more_examples(name, task):
    from imbpipe.heads.bank import train_heads
    from imbpipe.heads.run import HeadConfig, Protocol, Run

    n = 40
    data = training_set(awkward_labels(n, task, (1, 2), 2, seed=4), task, duplicates=True)
    assert data.labels.any(axis=0).all()
    plan = asserted_plan(name, data)
    if plan is None:
        return
    run = Run(np.arange(n), np.arange(0), plan, seed=0)
    protocol = Protocol(HeadConfig(hidden=8), epochs=EPOCHS, batch_size=16)
    (bank,) = train_heads(data.features, data.labels, [run], protocol, device="cpu")
    assert all(np.isfinite(value).all() for value in bank.parameters.values())
    scores = bank.scores(data.features)
    assert scores.shape == (1, n, 4)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert scores.std() > 0


def test_a_wrong_name_answers_with_the_right_one():
    with pytest.raises(
        UnknownNameError, match=r"no strategy named 'undersampel'\. Did you mean 'undersample'\?"
    ):
        STRATEGIES["undersampel"]


@pytest.mark.parametrize(
    ("strategy", "given_", "message"),
    [
        (
            "undersample",
            {"factor": "3"},
            "strategy 'undersample' has no parameter 'factor'. Its parameters: threshold",
        ),
        ("undersample", {"threshold": "many"}, "threshold is a whole number, not 'many'"),
        ("undersample", {"threshold": "2.5"}, "threshold is a whole number, not '2.5'"),
        ("upweight", {"factor": "three"}, "factor is a number, not 'three'"),
        ("upweight", {"per": "pixel"}, "per is 'image', 'label' or 'batch', not 'pixel'"),
        ("baseline", {"factor": 2}, "Its parameters: none"),
    ],
)
def test_a_wrong_parameter_is_told_what_is_wanted(strategy, given_, message):
    with pytest.raises(UsageError) as error:
        read_parameters(strategy, given_)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (Phase(rows=np.array([], np.int64)), "draws no row"),
        (Phase(rows=np.array([3])), "outside 0 to 2"),
        (Phase(weight=np.array([1, -1, 1], np.float32)), "negative"),
        (Phase(weight=np.array([1, np.nan, 1], np.float32)), "not finite"),
        (Phase(weight=np.ones((2, 2), np.float32)), r"shape \(2, 2\) for 3 rows of 2 classes"),
        (Phase(offset=np.zeros(3, np.float32)), "for 2 classes"),
        (Phase(probability=np.zeros(3)), "not all 0"),
        (Phase(start=0.5), r"start at \[0.5\]"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(phase, message):
    with pytest.raises(PlanError, match=message):
        Plan((phase,)).check(3, 2)
