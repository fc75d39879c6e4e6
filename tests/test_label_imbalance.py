"""ML-ROS, ML-RUS, LP-ROS and LP-RUS, beside values worked by hand from their paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies_by_hand import drawn, one_hot, training_set

from imbpipe.datasets.imbalance import imbalance_ratios
from imbpipe.errors import UsageError
from imbpipe.strategies.label_imbalance import share_out

multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 6)))

A, B, C = [1, 0, 0], [0, 1, 0], [0, 0, 1]
SETS = training_set([A] * 12 + [B] * 5 + [C] * 3 + [[1, 1, 0]] * 4)
"""Four label sets of 12, 5, 4 and 3 images, 6 on average. Labels: 16, 9 and 3 images."""


def test_the_imbalance_ratio_of_a_label_is_the_most_frequent_count_over_its_own():
    np.testing.assert_allclose(imbalance_ratios(np.array([16, 9, 3, 0])), [1, 16 / 9, 16 / 3, np.nan])


def test_ml_ros_copies_a_rare_label_until_its_ratio_is_the_mean():
    """Mean ratio (1 + 16/9 + 16/3) / 3 = 2.704, so the third label ends with 6 images: 16/6 = 2.667."""
    rows = drawn("ml-ros", SETS, percent=100)
    np.testing.assert_array_equal(SETS.labels[rows].sum(axis=0), [16, 9, 6])
    assert set(rows) == set(range(24))


def test_ml_ros_makes_no_more_copies_than_asked_for():
    rows = drawn("ml-ros", SETS, percent=8.4)
    assert len(rows) == 24 + 2
    assert SETS.labels[rows[24:], 2].all()


def test_ml_rus_drops_images_of_frequent_labels_only_and_as_many_as_asked_for():
    rows = drawn("ml-rus", SETS, percent=25)
    assert len(rows) == 24 - 6
    assert len(set(rows)) == len(rows)
    assert set(rows) >= set(np.flatnonzero(SETS.labels[:, 2]))


def test_ml_rus_stops_at_a_label_once_its_ratio_is_the_mean():
    """Labels of 20 and 10 images have a mean ratio of 1.5. The first one's own is 1 down to 10 images, then
    10/9, 10/8, 10/7, and 10/6 > 1.5."""
    labels = training_set([A] * 20 + [B] * 10)
    kept = labels.labels[drawn("ml-rus", labels, percent=100)].sum(axis=0)
    np.testing.assert_array_equal(kept, [6, 10, 0])


def test_lp_ros_fills_small_label_sets_up_to_the_mean_and_shares_copies_out_evenly():
    """Room to the mean of 6: 1, 2 and 3. Six copies fill all; three give one each."""
    for percent, sizes in ((25, [12, 6, 6, 6]), (12.5, [12, 6, 5, 4])):
        rows = drawn("lp-ros", SETS, percent=percent)
        np.testing.assert_array_equal(sizes_of_sets(rows), sizes)
        assert set(rows) == set(range(24))


def test_lp_rus_cuts_large_label_sets_down_to_the_mean():
    for percent, sizes in ((100, [6, 5, 4, 3]), (12.5, [9, 5, 4, 3])):
        rows = drawn("lp-rus", SETS, percent=percent)
        np.testing.assert_array_equal(sizes_of_sets(rows), sizes)
        assert len(set(rows)) == len(rows)


def sizes_of_sets(rows):
    """Of the sets of 12, 5, 4 and 3."""
    first, second, third = SETS.labels[rows].T
    return [np.count_nonzero(each) for each in (first & ~second, second & ~first, first & second, third)]


def test_on_single_label_data_a_label_set_is_a_class():
    classes = np.repeat([0, 1, 2], [50, 9, 4])
    data = training_set(one_hot(classes, 3), "single-label")
    np.testing.assert_array_equal(np.bincount(classes[drawn("lp-ros", data, percent=100)]), [50, 21, 21])
    np.testing.assert_array_equal(np.bincount(classes[drawn("lp-rus", data, percent=100)]), [21, 9, 4])


@given(st.integers(0, 60), st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_shares_keep_within_their_room_and_are_level_where_room_is_left(total, room):
    shares = share_out(total, room)
    assert all(0 <= share <= most for share, most in zip(shares, room, strict=True))
    assert sum(shares) == min(total, sum(room))
    unfilled = [share for share, most in zip(shares, room, strict=True) if share < most]
    assert not unfilled or max(shares) - min(unfilled) <= 1


@pytest.mark.parametrize("name", ["ml-rus", "lp-rus"])
@given(labels=multi_hot, percent=st.floats(0, 100), seed=st.integers(0, 3))
def test_dropping_leaves_no_label_without_an_image_and_drops_no_more_than_asked(name, labels, percent, seed):
    rows = drawn(name, training_set(labels), seed, percent=percent)
    assert len(rows) >= len(labels) - int(len(labels) * percent / 100)
    np.testing.assert_array_equal(labels[rows].any(axis=0), labels.any(axis=0))


@pytest.mark.parametrize("name", ["ml-ros", "ml-rus", "lp-ros", "lp-rus"])
@pytest.mark.parametrize("percent", [-1.0, 101.0, np.nan])
def test_a_percentage_that_is_none_is_refused(name, percent):
    with pytest.raises(
        UsageError, match=rf"strategy '{name}': percent is {percent}\. Choose a number from 0"
    ):
        drawn(name, SETS, percent=percent)
