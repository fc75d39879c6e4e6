"""What labels say before any training, beside values worked by hand and the definitions written as loops."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imbpipe.cli import main
from imbpipe.datasets.cooccurrence import shares, strongest_pairs, together
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.imbalance import imbalance_ratios, label_sets, measure, scumble
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.stability import stability
from imbpipe.errors import DatasetError, UsageError
from imbpipe.experiments.label_effects import label_effects, phase_effects
from imbpipe.experiments.label_study import Questions, facts, study_labels
from imbpipe.strategies.plan import Phase

SMALL = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
"""Counts 4, 2, 1, so IRLbl 1, 2, 4. Labels an image: 1, 1, 2, 2, 1."""

multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 12)))


def made(labels: np.ndarray, names: str = "abc") -> Dataset:
    ids = tuple(map(str, range(len(labels))))
    task = "single-label" if (labels.sum(axis=1) == 1).all() else "multi-label"
    return Dataset("made", ids, tuple(map(Path, ids)), labels, tuple(names), task)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["labels", *map(str, arguments)], catch_exceptions=False)


def test_imbalance_measures_of_a_small_matrix_are_those_worked_by_hand():
    """MeanIR (1 + 2 + 4) / 3; its deviations -4/3, -1/3, 5/3 have squares that sum to 42/9, over 2 is 7/3.

    SCUMBLE of the third image, labels with ratios 1 and 2: 1 - sqrt(2) / 1.5; of the fourth, 1 and 4:
    1 - 2 / 2.5; of the others, with one label each, 0.
    """
    found = measure(SMALL)
    np.testing.assert_allclose(found.ratios, [1, 2, 4])
    assert found.mean_ir == pytest.approx(7 / 3)
    assert found.cv_ir == pytest.approx(np.sqrt(7 / 3) / (7 / 3))
    assert found.max_ir == 4
    assert (found.cardinality, found.density) == pytest.approx((7 / 5, 7 / 15))
    assert (found.label_sets, found.single_label_sets) == (4, 3)
    of_images = [0, 0, 1 - np.sqrt(2) / 1.5, 0.2, 0]
    np.testing.assert_allclose(scumble(SMALL, found.ratios), of_images)
    assert found.scumble == pytest.approx(statistics.mean(of_images))
    assert found.scumble_cv == pytest.approx(statistics.stdev(of_images) / statistics.mean(of_images))
    np.testing.assert_allclose(found.label_scumble, [(of_images[2] + 0.2) / 4, of_images[2] / 2, 0.2])


@given(multi_hot)
def test_scumble_is_one_minus_the_atkinson_ratio_of_an_images_labels(labels):
    ratios = imbalance_ratios(labels.sum(axis=0))
    expected = [
        1 - statistics.geometric_mean(held) / statistics.mean(held) if len(held) else 0.0
        for held in (ratios[row].tolist() for row in labels)
    ]
    np.testing.assert_allclose(scumble(labels, ratios), expected, atol=1e-9)
    assert measure(labels).scumble == pytest.approx(statistics.mean(expected), abs=1e-9)


@given(multi_hot)
def test_label_sets_are_the_distinct_rows_and_how_often_they_occur(labels):
    sets, sizes = label_sets(labels)
    counted: dict[tuple[bool, ...], int] = {}
    for row in map(tuple, labels.tolist()):
        counted[row] = counted.get(row, 0) + 1
    assert dict(zip(map(tuple, sets.tolist()), sizes.tolist(), strict=True)) == counted


def test_on_single_label_data_no_image_mixes_frequencies():
    found = measure(np.eye(3, dtype=bool)[[0, 0, 0, 0, 1, 1, 2]])
    assert (found.scumble, found.cardinality) == (0, 1)
    assert np.isnan(found.scumble_cv)


def test_co_occurrence_counts_images_and_its_strongest_pairs_have_numpys_correlation():
    both = together(SMALL)
    np.testing.assert_array_equal(both, [[4, 1, 1], [1, 2, 0], [1, 0, 1]])
    np.testing.assert_allclose(shares(both)[1], [0.5, 1, 0])
    correlation = np.corrcoef(SMALL.T.astype(float))
    pairs = strongest_pairs(both, len(SMALL))
    assert [(p.first, p.second) for p in pairs] == [(1, 0), (2, 1), (2, 0)]
    assert (pairs[0].together, pairs[0].share_of_first, pairs[0].share_of_second) == (1, 0.5, 0.25)
    for pair in pairs:
        assert pair.phi == pytest.approx(correlation[pair.first, pair.second])


def test_a_label_on_every_image_is_correlated_with_none():
    labels = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 1]], dtype=bool)
    assert [(p.first, p.second) for p in strongest_pairs(together(labels), 3)] == [(1, 2)]


def test_the_low_frequency_set_of_planet_is_the_same_in_43_percent_of_random_splits(real_root):
    """Within four standard errors of 0.43 for 4,000 splits."""
    planet = load_dataset("planet", root=real_root, options=ReadOptions(images_needed=False))
    found = stability(planet.labels, np.random.default_rng(1), splits=4000, fraction=0.8)
    assert abs(found.unchanged - 0.43) < 4 * np.sqrt(0.43 * 0.57 / 4000) + 0.005
    share = dict(zip(planet.class_names, found.share, strict=True))
    assert share["blow_down"] == share["conventional_mine"] == 1
    assert share["primary"] == 0
    assert 0 < share["selective_logging"] < share["artisinal_mine"] < 1


def test_stability_agrees_with_splits_that_are_drawn_image_by_image():
    rng = np.random.default_rng(0)
    labels = rng.random((60, 5)) < [0.6, 0.3, 0.25, 0.2, 0.18]
    found = stability(labels, rng, splits=4000, fraction=0.5)
    reached = np.zeros(5)
    for _ in range(4000):
        counts = labels[rng.permutation(60)[:30]].sum(axis=0)
        reached += counts <= np.quantile(counts, 0.25)
    np.testing.assert_allclose(found.share, reached / 4000, atol=0.05)


def test_nothing_depends_on_a_split_that_holds_every_image():
    found = stability(SMALL, np.random.default_rng(0), splits=10, fraction=1)
    assert found.unchanged == 1
    np.testing.assert_array_equal(found.share, found.low)


@pytest.mark.parametrize(("splits", "fraction"), [(0, 0.8), (10, 0.0), (10, 1.5)])
def test_random_splits_that_cannot_be_drawn_are_refused(splits, fraction):
    with pytest.raises(UsageError, match="random splits"):
        stability(SMALL, np.random.default_rng(0), splits=splits, fraction=fraction)


def test_up_weighting_an_image_weighs_everything_that_it_holds():
    """Label c is rare and on the fourth image alone, which weighs 10; the other four weigh 1.

    Label a: positives weigh 1 + 1 + 1 + 10 = 13 over four, its one negative 1. Label b: positives 2 over
    two, negatives 1 + 1 + 10 = 12 over three.
    """
    marked = SMALL[:, 2]
    found = label_effects(made(SMALL), "upweight", {"factor": 10, "percentile": 0}, marked)
    np.testing.assert_allclose(found.positive_weight, [13 / 4, 1, 10])
    np.testing.assert_allclose(found.negative_weight, [1, 4, 1])
    np.testing.assert_allclose(found.prevalence, [13 / 14, 2 / 14, 10 / 14])
    np.testing.assert_allclose(found.from_marked, [10 / 13, 0, 1])


def test_up_weighting_a_label_leaves_every_other_as_it_is():
    found = label_effects(
        made(SMALL), "upweight", {"factor": 10, "per": "label", "percentile": 0}, SMALL[:, 2]
    )
    np.testing.assert_allclose(found.positive_weight, [1, 1, 10])
    np.testing.assert_allclose(found.negative_weight, [1, 1, 10])


def test_rows_drawn_by_probability_count_as_often_as_they_are_expected():
    phase = Phase(rows=np.zeros(10, np.int64), probability=np.array([0, 0, 0.5, 0.5, 0]))
    np.testing.assert_allclose(phase_effects(phase, SMALL, SMALL[:, 2]).positives, [10, 5, 5])


def test_resampling_brings_every_label_of_planet_to_its_threshold_where_it_can(real_root):
    planet = load_dataset("planet", root=real_root, options=ReadOptions(images_needed=False))
    study = study_labels(planet, Questions(undersample=200, oversample=30_000, splits=10))
    assert (study.oversampled.positives >= 30_000).all()
    assert (study.undersampled.positives >= np.minimum(study.counts, 200)).all()
    assert study.undersampled.rows < study.undersampled.positives.sum()


def test_the_words_about_planet_are_those_that_a_person_needs(test_data):
    shown = run("--dataset", test_data / "planet_train_v2.csv")
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 80
    words = " ".join(shown.stdout.split())
    assert "5 of 17 labels are low-frequency" in words
    assert "98 % of them also carry 'primary'" in words
    assert "at factor 10 gets 22 % of its positives' weight from them" in words
    assert "selective_logging is in it in" in words


@pytest.fixture
def table(tmp_path) -> Path:
    cells = [
        " ".join(name for name, has in zip(("sun", "sea", "owl"), row, strict=True) if has) for row in SMALL
    ]
    path = tmp_path / "labels.csv"
    path.write_text("image,labels\n" + "".join(f"{i}.jpg,{cell}\n" for i, cell in enumerate(cells)))
    return path


def test_json_holds_every_number_and_no_image_need_be_there(table):
    found = json.loads(run("--dataset", table, "--json").stdout)
    assert found["mean_ir"] == pytest.approx(7 / 3)
    classes = {entry["class"]: entry for entry in found["classes"]}
    assert (classes["sun"]["count"], classes["owl"]["irlbl"]) == (4, 4)
    assert classes["owl"]["low_frequency"] is True
    assert len(found["pairs"]) == len(found["facts"]) == 3


def test_single_label_data_are_told_what_applies_to_them(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image,label\n" + "".join(f"{i}.jpg,{'abbcccc'[i]}\n" for i in range(7)))
    shown = " ".join(run("--dataset", path).stdout.split())
    assert "to no other class's positives, only to its negatives" in shown
    assert "SCUMBLE" not in shown
    assert "pairs" not in shown


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--dataset", "none.csv"], 1, "none.csv"),
        (["--fraction", "0"], 2, "a fraction of 0.0. It is above 0 and at most 1"),
        (["--splits", "0"], 2, "x>=1"),
        (["--factor", "nan"], 2, "factor is a number, not nan"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(arguments, status, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments)
    assert refused.exit_code == status
    assert words in refused.stderr
    assert "Traceback" not in refused.output


def test_labels_that_are_nowhere_positive_are_refused():
    with pytest.raises(DatasetError, match="no image of 'made' has a label"):
        study_labels(made(np.zeros((4, 3), bool)), Questions())


def test_a_set_that_every_split_agrees_on_is_said_to_be_stable():
    labels = np.eye(3, dtype=bool)[np.repeat([0, 1, 2], [100, 60, 5])]
    assert "does not depend on the split" in facts(study_labels(made(labels), Questions(splits=50)))[2]
