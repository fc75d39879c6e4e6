"""Selection: which images a criterion keeps, against definitions, brute force and other libraries."""

import itertools
import tomllib
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from embedded_sets import random_set, training_set
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imblearn.under_sampling import ClusterCentroids
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances, roc_auc_score

from imbpipe.errors import UsageError
from imbpipe.experiments.experiment import read_experiment
from imbpipe.heads.bank import train_heads
from imbpipe.heads.run import Protocol, Run
from imbpipe.strategies.selection.criterion import CRITERIA, fill
from imbpipe.strategies.selection.facility import cover
from imbpipe.strategies.selection.hardness import error_length, violation
from imbpipe.strategies.selection.probe import probabilities
from imbpipe.strategies.selection.subset import shares
from imbpipe.strategies.strategy import STRATEGIES

SELECTING = [name for name in CRITERIA if name != "random"]


def one_class(features):
    """All rows of class 0, and one image of class 1 far from them, which a threshold leaves whole."""
    return training_set([*features, -np.sum(features, 0)], np.eye(2)[[0] * len(features) + [1]])


def kept(name, data, seed=0, **parameters):
    plan = STRATEGIES[name](data, np.random.default_rng(seed), **parameters)
    plan.check(*data.labels.shape)
    rows = plan.phases[0].rows
    assert len(set(rows.tolist())) == len(rows)
    return rows


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def circle(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


@pytest.mark.parametrize("name", SELECTING)
def test_single_label_classes_keep_exactly_the_threshold_or_all_they_have(name):
    data = random_set("single-label")
    assert data.labels[kept(name, data, threshold=5)].sum(0).tolist() == [5, 5, 2, 1, 0]
    assert data.labels[kept(name, data)].sum(0).tolist() == [1, 1, 1, 1, 0]


multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 6))).filter(lambda a: a.any())


@given(multi_hot, st.integers(1, 12))
def test_classes_are_filled_in_order_counting_what_earlier_ones_brought(labels, threshold):
    asked = {}

    def last(pool, kept, count):
        asked[tuple(pool)] = (set(kept), count)
        return pool[-count:]

    rows = fill(labels, threshold, last)
    chosen: set[int] = set()
    for column in labels.T:
        own = set(np.flatnonzero(column))
        pool, missing = sorted(own - chosen), threshold - len(own & chosen)
        if 0 < missing < len(pool):
            assert asked[tuple(pool)] == (own & chosen, missing)
        chosen |= set(pool[-missing:]) if missing > 0 else set()
    assert rows.tolist() == sorted(chosen)


@hypothesis.settings(max_examples=10)
@given(multi_hot, st.integers(1, 12))
@pytest.mark.parametrize("name", SELECTING)
def test_multi_label_classes_keep_at_least_the_threshold_or_all_they_have(name, labels, threshold):
    features = np.random.default_rng(0).normal(size=(len(labels), 4))
    rows = kept(name, training_set(features, labels, "multi-label"), threshold=threshold)
    assert (labels[rows].sum(0) >= np.minimum(labels.sum(0), threshold)).all()
    assert len(rows) <= np.minimum(labels.sum(0), threshold).sum()


def test_undersampling_at_random_follows_the_same_rule_and_size():
    data = random_set("multi-label", (60, 30, 20, 12), seed=3)
    by_rule = [
        len(fill(data.labels, 9, CRITERIA["random"].make(data, np.random.default_rng(seed))))
        for seed in range(40)
    ]
    drawn = [len(kept("undersample", data, seed, threshold=9)) for seed in range(40)]
    assert np.mean(by_rule) == pytest.approx(np.mean(drawn), abs=1)


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("name", [*SELECTING, "subset"])
def test_a_head_trains_on_what_is_selected_and_the_same_seed_selects_the_same(name, task):
    data, again = random_set(task, (30, 9, 2, 1)), random_set(task, (30, 9, 2, 1))
    plan = STRATEGIES[name](data, np.random.default_rng(1))
    np.testing.assert_array_equal(plan.phases[0].rows, kept(name, again, 1))
    run = Run(np.arange(len(data.labels)), np.arange(0), plan, 0)
    (bank,) = train_heads(data.features, data.labels, [run], Protocol(epochs=1), device="cpu")
    assert np.isfinite(bank.logits(data.features)).all()


@pytest.mark.parametrize("name", SELECTING)
def test_images_without_a_difference_are_selected_from_all_the_same(name):
    data = training_set(np.zeros((9, 3)), np.eye(2)[[0] * 7 + [1] * 2])
    assert data.labels[kept(name, data, threshold=4)].sum(0).tolist() == [4, 2]


@pytest.mark.parametrize("name", SELECTING)
def test_a_threshold_below_1_is_refused_by_name(name):
    with pytest.raises(UsageError, match=f"strategy '{name}': threshold is 0. It starts at 1"):
        kept(name, random_set("single-label"), threshold=0)


def test_herding_follows_its_definition():
    data = one_class(np.random.default_rng(2).normal(size=(25, 5)) + 1)
    x = unit(data.features[:25].astype(np.float64))
    mean = x.mean(0)
    weight, order = mean, []
    for _ in range(7):
        free = [i for i in range(25) if i not in order]
        order.append(max(free, key=lambda i: weight @ x[i]))
        weight = weight + mean - x[order[-1]]
    assert kept("herding", data, threshold=7).tolist() == [*sorted(order), 25]


def test_herding_goes_on_from_what_earlier_classes_brought():
    """Image 0 at 0 degrees is kept for class 0; beside it the mean of class 1 wants the other side."""
    data = training_set(circle(0, 10, 45, 90), [[1, 1], [0, 1], [0, 1], [0, 1]], "multi-label")
    assert kept("herding", data, threshold=2).tolist() == [0, 3]


def test_herding_follows_the_mean_more_closely_than_chance():
    data = one_class(np.random.default_rng(0).gamma(1, size=(200, 16)))
    x = unit(data.features[:200])

    def off(rows):
        return np.linalg.norm(x[rows[:-1]].mean(0) - x.mean(0))

    chance = [off(kept("undersample", data, seed, threshold=12)) for seed in range(20)]
    assert off(kept("herding", data, threshold=12)) < 0.6 * min(chance)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_k_center_is_within_twice_the_best_radius(count):
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(11, 2))
        apart = pairwise_distances(unit(x))
        best = min(apart[list(rows)].min(0).max() for rows in itertools.combinations(range(11), count))
        rows = kept("k-center", one_class(x), threshold=count)[:-1]
        assert len(rows) == count
        assert apart[rows].min(0).max() <= 2 * best + 1e-6


def test_k_center_takes_the_farthest_image_each_time():
    data = one_class(circle(0, 4, 8, 30, 60, 80))
    assert kept("k-center", data, threshold=3)[:-1].tolist() == [0, 3, 5]  # 30 is nearest to the mean


def test_k_center_of_many_images_equals_the_greedy_rule_step_by_step():
    data = one_class(np.random.default_rng(5).normal(size=(300, 6)))
    apart = pairwise_distances(unit(data.features[:300].astype(np.float64)))
    x = unit(data.features[:300].astype(np.float64))
    order = [int(np.linalg.norm(x - x.mean(0), axis=1).argmin())]
    while len(order) < 90:
        order.append(int(apart[order].min(0).argmax()))
    assert kept("k-center", data, threshold=90)[:-1].tolist() == sorted(order)


def test_k_center_starts_from_what_earlier_classes_brought():
    data = training_set(circle(0, 10, 50, 60, 90), [[1, 1], [0, 1], [0, 1], [0, 1], [0, 1]], "multi-label")
    assert kept("k-center", data, threshold=2).tolist() == [0, 4]


def covered(x, rows):
    return (1 + x @ x[list(rows)].T).max(1).sum()


@pytest.mark.parametrize("count", [2, 3])
def test_facility_location_reaches_its_bound_and_greedy_reaches_the_best_of_each_step(count):
    none = np.empty((0, 3), np.float32)
    for seed in range(5):
        x = unit(np.random.default_rng(seed).normal(size=(12, 3))).astype(np.float32)
        best = max(covered(x, rows) for rows in itertools.combinations(range(12), count))
        greedy: list[int] = []
        while len(greedy) < count:
            greedy.append(max(range(12), key=lambda i, so_far=tuple(greedy): covered(x, [*so_far, i])))
        rows = cover(x, none, count, np.random.default_rng(seed), epsilon=1e-9)
        assert rows.tolist() == greedy
        drawn = [covered(x, cover(x, none, count, np.random.default_rng(s))) for s in range(10)]
        assert np.mean(drawn) >= (1 - 1 / np.e - 0.05) * best


def test_facility_location_by_chance_is_nearly_as_good_as_greedy_on_many_images():
    x = unit(np.random.default_rng(0).gamma(1, size=(600, 8))).astype(np.float32)
    none = x[:0]
    greedy = covered(x, cover(x, none, 60, np.random.default_rng(0), epsilon=1e-12))
    rows = cover(x, none, 60, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 60
    assert covered(x, rows) > 0.995 * greedy
    assert covered(x, np.arange(60)) < covered(x, rows)


def test_facility_location_does_not_cover_twice_what_earlier_classes_brought():
    """Two clusters of class 1; the larger already has a kept image."""
    data = training_set(
        circle(0, 0, 1, 2, 3, 4, 90, 91),
        [[1, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]],
        "multi-label",
    )
    assert set(kept("facility-location", data, threshold=2)) & {6, 7}


def test_cluster_centroids_keep_the_images_that_imbalanced_learn_keeps_of_clear_clusters():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(0, 360, 60), 9) + rng.normal(0, 3, 54)
    data = training_set(circle(*clusters, *(clusters[:6] + 30)), np.eye(2)[[0] * 54 + [1] * 6])
    peer = ClusterCentroids(estimator=KMeans(n_init=5, random_state=0), voting="hard", random_state=0)
    wanted, _ = peer.fit_resample(data.features, data.labels.argmax(1))
    ours = data.features[kept("cluster-centroids", data)]
    np.testing.assert_allclose(np.sort(ours, 0), np.sort(wanted, 0), rtol=1e-6)


def test_semdedup_drops_the_nearest_repeats_first():
    """Pairs 1 and 3 degrees apart; of each the one nearer to the mean goes, the closest pair's first."""
    data = one_class(circle(0, 1, 40, 60, 63, 100))
    assert kept("semdedup", data, threshold=5)[:-1].tolist() == [0, 2, 3, 4, 5]
    assert kept("semdedup", data, threshold=4)[:-1].tolist() == [0, 2, 4, 5]


def test_semdedup_equals_the_published_rule_pair_by_pair():
    data = one_class(np.random.default_rng(1).gamma(1, size=(700, 3)))
    x = unit(data.features[:700].astype(np.float64))
    order = np.argsort(x @ x.mean(0), kind="stable")
    cosine = np.triu(x[order] @ x[order].T, 1)
    closest = cosine.max(0)
    threshold = np.sort(closest)[199]
    assert kept("semdedup", data, threshold=200)[:-1].tolist() == sorted(order[closest <= threshold])


def test_semdedup_drops_what_repeats_an_image_of_an_earlier_class():
    data = training_set(circle(0, 0.1, 30, 60), [[1, 1], [0, 1], [0, 1], [0, 1]], "multi-label")
    assert kept("semdedup", data, threshold=3).tolist() == [0, 2, 3]


def test_moderate_keeps_the_images_around_the_median_distance():
    data = one_class(circle(-50, -20, -8, 0, 9, 19, 50))
    x = unit(data.features[:7])
    distance = np.linalg.norm(x - x.mean(0), axis=1)
    wanted = np.sort(np.argsort(np.abs(distance - np.median(distance)), kind="stable")[:3])
    assert kept("moderate", data, threshold=3)[:-1].tolist() == wanted.tolist() == [1, 4, 5]


def test_hardness_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]], np.float32)
    labels = np.array([[True, False, False], [True, True, False]])
    np.testing.assert_allclose(error_length(p, labels), np.sqrt([0.09 + 0.04 + 0.01, 0.5]), rtol=1e-6)
    np.testing.assert_allclose(violation(p, labels), [-0.5, -0.5], rtol=1e-6)


@pytest.mark.parametrize("name", ["el2n", "margin"])
def test_hardness_finds_mislabelled_images(name):
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 300)
    features = rng.normal(size=(600, 8)) + 3 * classes[:, None]
    wrong = rng.choice(600, 12, replace=False)
    classes[wrong] = 1 - classes[wrong]
    rows = kept(name, training_set(features, np.eye(2)[classes]), threshold=12)
    assert set(wrong) <= set(rows)


def test_the_probe_tells_classes_apart_as_logistic_regression_does():
    data = random_set("multi-label", (200, 80, 40), seed=1)
    probe = probabilities(data).mean(0)
    for column in range(3):
        peer = LogisticRegression().fit(data.features, data.labels[:, column])
        truth = data.labels[:, column]
        wanted = roc_auc_score(truth, peer.predict_proba(data.features)[:, 1])
        assert roc_auc_score(truth, probe[:, column]) > wanted - 0.08


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.floats(0, 1))
def test_each_stratum_s_share_is_within_1_of_what_is_due_and_the_sum_is_right(sizes, fraction):
    total = round(fraction * sum(sizes))
    counts = shares(np.array(sizes), total)
    assert counts.sum() == total
    assert ((counts >= 0) & (counts <= sizes)).all()
    assert (np.abs(counts - np.array(sizes) * total / sum(sizes)) < 1).all()


@pytest.mark.parametrize("by", CRITERIA)
def test_a_subset_keeps_the_fraction_of_all_images_and_of_each_class(by):
    data = random_set("single-label", (200, 100, 40, 3))
    rows = kept("subset", data, fraction=0.25, by=by)
    assert len(rows) == 86
    np.testing.assert_allclose(data.labels[rows].sum(0), [50, 25, 10, 0.75], atol=1)


def test_rare_label_combinations_together_keep_their_share_of_a_small_subset():
    """200 combinations of 2 images each beside one of 600: by rounding alone none of them would stay."""
    labels = np.zeros((1000, 9), dtype=bool)
    combinations = np.arange(1, 201)
    labels[:400, :8] = np.repeat(combinations[:, None] >> np.arange(8) & 1, 2, 0)
    labels[400:, 8] = True
    rows = kept(
        "subset", training_set(np.random.default_rng(0).normal(size=(1000, 4)), labels, "multi-label")
    )
    assert len(rows) == 100
    assert np.count_nonzero(rows < 400) == pytest.approx(40, abs=1)


def test_a_subset_of_all_is_all():
    data = random_set("multi-label")
    assert len(kept("subset", data, fraction=1.0)) == len(data.labels)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"fraction": 0.0}, "strategy 'subset': fraction is 0.0. It is above 0 and at most 1"),
        ({"fraction": np.nan}, "fraction is nan"),
        ({"by": "herdin"}, "strategy 'subset': by is 'herdin'. Known: random, cluster-centroids"),
    ],
)
def test_a_subset_that_cannot_be_meant_is_refused(given_, message):
    with pytest.raises(UsageError, match=message):
        kept("subset", random_set("single-label"), **given_)


def test_the_redundancy_experiment_compares_every_criterion_at_the_same_sizes():
    path = Path(__file__).parent.parent / "experiments/redundancy.toml"
    settings = read_experiment(path).settings("planet")
    assert tomllib.loads(path.read_text())["strategies"]
    by = {s.values["by"] for s in settings if s.strategy == "subset"}
    assert by == set(CRITERIA)
    thresholds = {
        name: {s.values["threshold"] for s in settings if s.strategy == name}
        for name in [*SELECTING, "undersample"]
    }
    assert len(set(map(frozenset, thresholds.values()))) == 1
    assert len(thresholds["undersample"]) > 2
