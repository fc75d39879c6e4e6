"""Strategies: labels in, plans out."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

from imbpipe.errors import PlanError, UnknownNameError, UsageError
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES, parameters_of, read_parameters
from imbpipe.types import TrainingSet

PLANET_LOW = {"artisinal_mine", "blooming", "slash_burn", "blow_down", "conventional_mine"}


def training_set(labels, task="multi-label"):
    labels = np.asarray(labels, dtype=bool)
    names = tuple(f"class {i}" for i in range(labels.shape[1]))
    text = np.ones((len(names), 2), np.float32)
    return TrainingSet(np.zeros((len(labels), 2), np.float32), labels, names, task, text)


def one_hot(classes, c):
    return np.eye(c, dtype=bool)[classes]


def drawn(name, data, seed=0, **parameters):
    plan = STRATEGIES[name](data, np.random.default_rng(seed), **parameters)
    plan.check(len(data.labels), data.labels.shape[1])
    rows = plan.phases[0].rows
    return np.arange(len(data.labels)) if rows is None else rows


@pytest.fixture(scope="module")
def planet_labels(request):
    folder = request.getfixturevalue("test_data")
    with open(folder / "planet_train_v2.csv", newline="") as file:
        tags = [set(row["tags"].split()) for row in csv.DictReader(file)]
    names = sorted(set().union(*tags))
    return names, np.array([[name in row for name in names] for row in tags])


multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 6))).filter(lambda a: a.any())


@given(multi_hot, st.integers(0, 3))
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_gives_a_plan_that_the_engine_can_run_on_any_labels(name, labels, seed):
    drawn(name, training_set(labels), seed)


@given(multi_hot, st.integers(0, 3))
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_gives_the_same_plan_for_the_same_seed(name, labels, seed):
    data = training_set(labels)
    np.testing.assert_array_equal(drawn(name, data, seed), drawn(name, data, seed))


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_says_where_it_comes_from_and_what_its_parameters_mean(name):
    facts = STRATEGIES.facts(name)
    assert facts["Source"]
    assert set(parameters_of(name)) <= set(facts)
    assert STRATEGIES.summary(name).endswith(".")


def test_undersampling_single_label_data_keeps_exactly_as_many_of_each_class_as_imbalanced_learn():
    classes = np.repeat([0, 1, 2], [50, 9, 4])
    rows = drawn("undersample", training_set(one_hot(classes, 3), "single-label"))
    _, wanted = RandomUnderSampler(random_state=0).fit_resample(classes[:, None], classes)
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(np.bincount(classes[rows]), np.bincount(wanted))


def test_oversampling_single_label_data_draws_exactly_as_many_of_each_class_as_imbalanced_learn():
    classes = np.repeat([0, 1, 2], [50, 9, 4])
    rows = drawn("oversample", training_set(one_hot(classes, 3), "single-label"))
    _, wanted = RandomOverSampler(random_state=0).fit_resample(classes[:, None], classes)
    np.testing.assert_array_equal(np.bincount(classes[rows]), np.bincount(wanted))
    assert set(rows) == set(range(63))


def test_undersampling_to_a_threshold_leaves_smaller_classes_whole():
    classes = np.repeat([0, 1, 2], [50, 9, 4])
    rows = drawn("undersample", training_set(one_hot(classes, 3)), threshold=9)
    np.testing.assert_array_equal(np.bincount(classes[rows]), [9, 9, 4])


@given(multi_hot, st.integers(1, 30), st.integers(0, 3))
def test_undersampling_keeps_a_class_at_its_threshold_or_whole(labels, threshold, seed):
    kept = labels[drawn("undersample", training_set(labels), seed, threshold=threshold)].sum(axis=0)
    assert (kept >= np.minimum(labels.sum(axis=0), threshold)).all()


@given(multi_hot, st.integers(1, 30), st.integers(0, 3))
def test_oversampling_keeps_every_image_and_brings_every_class_to_its_threshold(labels, threshold, seed):
    rows = drawn("oversample", training_set(labels), seed, threshold=threshold)
    assert set(rows) == set(range(len(labels)))
    reached = labels[rows].sum(axis=0)
    assert (reached[labels.any(axis=0)] >= threshold).all()


def test_oversampling_planet_draws_as_many_rows_as_the_paper_s_code(planet_labels):
    _, labels = planet_labels
    sizes = []
    for seed in range(12):
        part = np.random.default_rng(seed).permutation(len(labels))[: round(0.8 * len(labels))]
        sizes.append(len(drawn("oversample", training_set(labels[part]), seed, threshold=30_000)))
    assert np.mean(sizes) == pytest.approx(315_498, abs=1_162)
    assert min(sizes) - 2_000 < 317_249 < max(sizes) + 2_000


def test_undersampling_planet_to_200_keeps_about_1900_rows_and_whole_rare_classes(planet_labels):
    names, labels = planet_labels
    rows = drawn("undersample", training_set(labels), threshold=200)
    kept = dict(zip(names, labels[rows].sum(axis=0), strict=True))
    assert 1_800 < len(rows) < 2_000
    assert (kept["blow_down"], kept["conventional_mine"]) == (98, 100)
    assert all(kept[name] >= 200 for name in names if name not in ("blow_down", "conventional_mine"))


def test_upweighting_an_image_multiplies_all_its_outputs_where_it_holds_a_rare_label(planet_labels):
    names, labels = planet_labels
    plan = STRATEGIES["upweight"](training_set(labels), np.random.default_rng(0), factor=3.0)
    weight = plan.phases[0].weight
    rare = labels[:, [names.index(name) for name in PLANET_LOW]].any(axis=1)
    np.testing.assert_array_equal(weight, np.where(rare, 3, 1))
    assert labels[rare, names.index("primary")].mean() == pytest.approx(0.98, abs=0.005)


def test_upweighting_a_label_multiplies_its_own_output_on_every_image(planet_labels):
    names, labels = planet_labels
    plan = STRATEGIES["upweight"](training_set(labels), np.random.default_rng(0), factor=3.0, per="label")
    weight = plan.phases[0].weight
    assert weight.shape == labels.shape
    assert {name for name, column in zip(names, weight.T, strict=True) if (column == 3).all()} == PLANET_LOW
    assert (weight[:, [name not in PLANET_LOW for name in names]] == 1).all()


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
        ("upweight", {"per": "pixel"}, "per is 'image' or 'label', not 'pixel'"),
        ("baseline", {"factor": 2}, "Its parameters: none"),
    ],
)
def test_a_wrong_parameter_is_told_what_is_wanted(strategy, given_, message):
    with pytest.raises(UsageError) as error:
        read_parameters(strategy, given_)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["undersample", "oversample"])
def test_a_threshold_below_1_is_refused(name):
    with pytest.raises(UsageError, match=r"threshold is 0\. Thresholds start at 1"):
        drawn(name, training_set(np.eye(3)), threshold=0)


@pytest.mark.parametrize("factor", [-1.0, np.nan, np.inf])
def test_a_factor_that_is_no_weight_is_refused(factor):
    with pytest.raises(UsageError, match="Factors are numbers from 0 up"):
        drawn("upweight", training_set(np.eye(3)), factor=factor)


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
