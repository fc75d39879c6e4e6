"""Dividing rows, and counting which classes are rare."""

import itertools
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from imbpipe.datasets.dataset import TEST, TRAIN, VALIDATION, Dataset
from imbpipe.datasets.frequency import class_counts, low_frequency, many_medium_few
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.splits import Split, make_split
from imbpipe.errors import DatasetError, UsageError

LABELS_ONLY = ReadOptions(images_needed=False)


def dataset(labels, official=None) -> Dataset:
    labels = np.asarray(labels, bool)
    n, c = labels.shape
    ids = tuple(f"row{i}" for i in range(n))
    task = "single-label" if (labels.sum(1) == 1).all() else "multi-label"
    official = None if official is None else np.asarray(official, np.int8)
    return Dataset("made", ids, (), labels, tuple(f"class{i}" for i in range(c)), task, official)


def grouped(data: Dataset, groups) -> Dataset:
    return replace(data, groups=tuple(f"place {group}" for group in groups))


def one_hot(classes) -> np.ndarray:
    return np.eye(max(classes) + 1, dtype=bool)[list(classes)]


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


def counts(data: Dataset, split: Split) -> np.ndarray:
    """(3, c) positives in train, validation, test."""
    return np.array([class_counts(data.labels[rows]) for rows in parts(split)])


class_lists = st.lists(st.integers(0, 5), min_size=20, max_size=120).filter(lambda c: len(set(c)) > 1)
label_matrices = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((60, 6)) < np.array([0.8, 0.4, 0.15, 0.08, 0.04, 0.04])
)

crowded_matrices = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((16, 9)) < np.array([0.5] * 3 + [0.2] * 6)
)  # many rare classes on few rows, so that they cannot all reach every part


@given(label_matrices, st.integers(0, 9), st.sampled_from(["stratified", "random"]), st.booleans())
def test_every_row_stands_in_exactly_one_part(labels, seed, kind, by_place):
    data = dataset(labels)
    split = make_split(grouped(data, np.arange(60) // 4) if by_place else data, seed, kind=kind)
    assert np.array_equal(np.sort(np.concatenate(parts(split))), np.arange(60))
    assert all((np.diff(rows) > 0).all() and rows.dtype == np.int64 for rows in parts(split))


@given(class_lists, st.integers(0, 9))
def test_each_class_of_a_single_label_set_is_cut_60_20_20_to_within_one_row(classes, seed):
    data = dataset(one_hot(classes))
    data = dataset(data.labels[:, data.labels.any(0)])
    found = counts(data, make_split(data, seed))
    exact = np.outer([0.6, 0.2, 0.2], class_counts(data.labels))
    assert (abs(found - exact) < 1 + 1e-9).all()
    if class_counts(data.labels).min() >= 5:  # with fewer, reaching every part comes first
        assert abs(found.sum(1) - np.array([0.6, 0.2, 0.2]) * len(data)).max() < 2 + 1e-9


@pytest.mark.parametrize(("count", "kept"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (4, [2, 1, 1])])
def test_a_rare_class_reaches_train_then_test_then_validation(count, kept):
    for seed in range(20):
        data = dataset(one_hot([0] * 50 + [1] * count))
        assert counts(data, make_split(data, seed))[:, 1].tolist() == kept


@given(crowded_matrices, st.integers(0, 9))
def test_no_move_or_swap_would_bring_a_rare_class_to_more_parts(labels, seed):
    def lacking(part_of_row):
        have = np.array([labels[part_of_row == p].any(0) for p in (TRAIN, TEST, VALIDATION)])
        must = class_counts(labels) > np.arange(3)[:, None]
        return (must & ~have).sum()

    def changed(part, *rows_and_targets):
        part = part.copy()
        for row, target in rows_and_targets:
            part[row] = target
        return part

    split = make_split(dataset(labels), seed)
    part = np.empty(len(labels), int)
    for number, rows in zip((TRAIN, VALIDATION, TEST), parts(split), strict=True):
        part[rows] = number
    best = lacking(part)
    if best:
        rows = range(len(labels))
        assert all(lacking(changed(part, move)) >= best for move in itertools.product(rows, range(3)))
        assert all(
            lacking(changed(part, (a, part[b]), (b, part[a]))) >= best
            for a, b in itertools.combinations(rows, 2)
        )


def test_rare_classes_that_share_images_still_reach_every_part():
    # Two classes of 2 are dealt first and may both send their image of class 2 to train.
    labels = np.zeros((40, 4), bool)
    labels[:, 3] = True
    labels[[0, 1], 0] = labels[[2, 3], 1] = labels[[0, 2, 4], 2] = True
    for seed in range(50):
        data = dataset(labels)
        found = counts(data, make_split(data, seed))
        assert (found[:, 2] == 1).all()
        assert (found[[TRAIN, TEST], :2] == 1).all()


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    data = dataset(np.random.default_rng(0).random((200, 5)) < 0.3)
    np.random.seed(1)  # the global state is what must not matter
    first = make_split(data, 3)
    np.random.seed(2)
    again, other = make_split(data, 3), make_split(data, 4)
    assert all(map(np.array_equal, parts(first), parts(again)))
    assert not np.array_equal(first.test, other.test)
    assert first.name == "stratified-60-20-20-seed3"


def test_every_row_has_the_same_chance_to_be_tested():
    labels = np.random.default_rng(0).random((150, 6)) < np.array([0.8, 0.4, 0.2, 0.1, 0.05, 0.03])
    data = dataset(labels)
    tested = np.bincount(np.concatenate([make_split(data, seed).test for seed in range(400)]), minlength=150)
    common = ~labels[:, 3:].any(1)
    assert tested.mean() == pytest.approx(80, abs=1)
    assert abs(tested[common] - 80).max() < 4.5 * 8  # binomial: sd 8


def test_labels_are_spread_as_evenly_as_by_the_library_iterative_stratification(real_root):
    from iterstrat.ml_stratifiers import IterativeStratification

    data = load_dataset("planet", root=real_root, options=LABELS_ONLY)
    fractions = np.array([0.6, 0.2, 0.2])
    exact = np.outer(fractions, class_counts(data.labels))

    def unevenness(found):
        return (abs(found - exact) / exact).mean()

    ours, theirs = [], []
    for seed in range(2):
        ours.append(unevenness(counts(data, make_split(data, seed))))
        order = np.random.default_rng(seed).permutation(len(data))
        part = IterativeStratification(data.labels[order], fractions.copy(), np.random.RandomState(seed))
        theirs.append(unevenness([class_counts(data.labels[order][part == p]) for p in range(3)]))
    assert np.mean(ours) <= 1.1 * np.mean(theirs)
    assert np.mean(ours) < 0.005


def test_label_sets_are_spread_evenly_not_only_labels():
    rng = np.random.default_rng(0)
    labels = rng.random((3000, 4)) < 0.5
    kind = labels @ [1, 2, 4, 8]
    data = dataset(labels)
    split = make_split(data, 0)
    found = np.bincount(kind[split.test], minlength=16) / np.bincount(kind, minlength=16)
    assert abs(found - 0.2).max() < 0.03


@given(label_matrices, st.integers(0, 5), st.sampled_from(["stratified", "random"]))
def test_rows_of_a_group_stay_on_one_side(labels, seed, kind):
    groups = np.random.default_rng(seed).integers(0, 25, 60) * 7
    split = make_split(grouped(dataset(labels), groups), seed, kind=kind)
    sides = [set(groups[rows].tolist()) for rows in parts(split)]
    assert sum(map(len, sides)) == len(set(groups.tolist()))


def test_groups_of_equal_size_are_still_divided_60_20_20():
    data = grouped(dataset(one_hot([0] * 240 + [1] * 60)), np.arange(300) // 3)
    split = make_split(data, 0)
    assert [len(rows) for rows in parts(split)] == [180, 60, 60]
    assert counts(data, split)[:, 1].tolist() == [36, 12, 12]


def test_groups_so_large_that_one_is_all_there_is_to_test_on_are_refused():
    data = grouped(dataset(one_hot([0, 1] * 20)), np.arange(40) // 10)
    with pytest.raises(DatasetError, match=r"all test images of 'made' are of one group"):
        make_split(data, 0)


def test_an_official_division_is_taken_as_it_is():
    official = [TRAIN] * 20 + [VALIDATION] * 10 + [TEST] * 10
    split = make_split(dataset(one_hot([0, 1] * 20), official), 0, kind="official")
    assert [rows.tolist() for rows in parts(split)] == [[*range(20)], [*range(20, 30)], [*range(30, 40)]]


@pytest.mark.parametrize("second", [VALIDATION, TEST])
def test_an_official_division_into_two_parts_is_tested_on_the_second(second):
    data = dataset(one_hot([0, 1, 1, 1] * 15), [TRAIN] * 40 + [second] * 20)
    split = make_split(data, 0, kind="official")
    assert split.test.tolist() == [*range(40, 60)]
    assert (len(split.train), len(split.validation)) == (30, 10)
    assert counts(data, split)[VALIDATION, 0] in (2, 3)  # a quarter of 10
    assert not np.array_equal(split.validation, make_split(data, 1, kind="official").validation)


def test_without_an_official_division_the_remedy_is_named():
    with pytest.raises(DatasetError, match=r"'made' has no official division\. Run with --split stratified"):
        make_split(dataset(one_hot([0, 1] * 20)), 0, kind="official")


def test_a_random_split_is_60_20_20():
    split = make_split(dataset(one_hot([0, 1] * 50)), 0, kind="random")
    assert [len(rows) for rows in parts(split)] == [60, 20, 20]


@pytest.mark.parametrize("kind", ["stratified", "random"])
def test_other_fractions_are_kept_and_an_unwanted_part_stays_empty(kind):
    data = dataset(one_hot([0, 1] * 50))
    split = make_split(data, 0, kind=kind, fractions=(0.8, 0.0, 0.2))
    assert [len(rows) for rows in parts(split)] == [80, 0, 20]
    assert split.name == f"{kind}-80-0-20-seed0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "stratifed"}, "no split named 'stratifed'. Known: stratified, random, official"),
        ({"fractions": (0.6, 0.2, 0.3)}, "three that sum to 1"),
        ({"fractions": (0.0, 0.5, 0.5)}, "train above 0"),
        ({"fractions": (1.2, -0.4, 0.2)}, "three that sum to 1"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_split_that_cannot_be_meant_is_a_usage_error(options, message):
    with pytest.raises(UsageError, match=message):
        make_split(dataset(one_hot([0, 1] * 20)), **{"seed": 0, **options})


def test_too_few_rows_are_an_error():
    message = "'made' is too small for this split: 2 rows give 1 train, 0 validation, 1 test. Add images"
    with pytest.raises(DatasetError, match=message):
        make_split(dataset(np.ones((2, 2))), 0)


@pytest.mark.parametrize("labels", [np.zeros((0, 2)), one_hot([0, 1]), np.eye(30)])
def test_classes_of_one_image_each_are_an_error(labels):
    message = "no class of 'made' has a positive image both in train and in test. A class needs at least 2"
    with pytest.raises(DatasetError, match=message):
        make_split(dataset(labels), 0)


def test_the_papers_low_frequency_classes_are_found_in_the_real_files(real_root):
    def low(name):
        data = load_dataset(name, root=real_root, options=LABELS_ONLY)
        return {
            c
            for c, rare in zip(data.class_names, low_frequency(class_counts(data.labels)), strict=True)
            if rare
        }

    assert low("planet") == {"artisinal_mine", "blooming", "slash_burn", "blow_down", "conventional_mine"}
    assert low("ade20k") == {"art_studio", "home_office", "poolroom_home", "waiting_room", "game_room"}


def test_low_frequency_takes_any_percentile_and_refuses_others():
    found = np.array([1, 2, 3, 4, 100])
    assert low_frequency(found, 50).tolist() == [True, True, True, False, False]
    assert low_frequency(found, 100).all()
    assert low_frequency(found, 0).sum() == 1
    with pytest.raises(UsageError, match="from 0 to 100"):
        low_frequency(found, 101)


def test_many_medium_and_few_part_at_100_and_20():
    assert many_medium_few(np.array([0, 19, 20, 100, 101])).tolist() == [
        "few",
        "few",
        "medium",
        "medium",
        "many",
    ]
