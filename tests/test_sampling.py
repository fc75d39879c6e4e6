"""Strategies that change how often a row is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from strategies_by_hand import drawn, one_hot, read_planet, training_set

from imbpipe.errors import UsageError

multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 6))).filter(lambda a: a.any())


@pytest.fixture(scope="module")
def planet_labels(request):
    return read_planet(request.getfixturevalue("test_data"))


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


@pytest.mark.parametrize("name", ["undersample", "oversample"])
def test_a_threshold_below_1_is_refused(name):
    with pytest.raises(UsageError, match=r"threshold is 0\. Thresholds start at 1"):
        drawn(name, training_set(np.eye(3)), threshold=0)
