"""What labels alone tell: imbalance, its stability, and what weighting and resampling would do."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imbpipe.cli import main
from imbpipe.datasets.imbalance import imbalance, shares_with, stability, together, weight_share
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import UsageError
from imbpipe.experiments.label_report import in_words, label_report

# a in 4 images, b in 2, c in 1: ratios 1, 2, 4
SMALL = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 0]], bool)

multi_hot = hnp.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 6))).filter(lambda a: a.any())


def test_the_ratios_are_those_worked_by_hand():
    found = imbalance(SMALL)
    np.testing.assert_allclose(found.ratio, [1, 2, 4])
    assert found.mean_ratio == pytest.approx(7 / 3)
    assert found.max_ratio == 4
    # squared distances 16/9, 1/9, 25/9 sum to 14/3; over 2: 7/3
    assert found.cv_ratio == pytest.approx((7 / 3) ** 0.5 / (7 / 3))
    assert (found.cardinality, found.density, found.label_sets) == (7 / 4, 7 / 12, 3)


def test_scumble_is_that_worked_by_hand():
    # {a}: 0; {a, b}: 1 - sqrt(1 * 2) / 1.5, twice; {a, c}: 1 - sqrt(1 * 4) / 2.5
    values = [0, 1 - 2**0.5 / 1.5, 1 - 2 / 2.5, 1 - 2**0.5 / 1.5]
    found = imbalance(SMALL)
    assert found.scumble == pytest.approx(np.mean(values))
    assert found.scumble_cv == pytest.approx(np.std(values, ddof=1) / np.mean(values))


@given(multi_hot)
def test_scumble_equals_the_definition_image_by_image(labels):
    counts = labels.sum(axis=0)
    total = 0.0
    for row in labels:
        ratios = [counts.max() / counts[c] for c in np.flatnonzero(row)]
        if ratios:
            total += 1 - np.prod(ratios) ** (1 / len(ratios)) / np.mean(ratios)
    assert imbalance(labels).scumble == pytest.approx(total / len(labels), abs=1e-9)


def test_a_class_without_images_has_no_ratio_and_spoils_no_mean():
    found = imbalance(np.column_stack([SMALL, np.zeros(4, bool)]))
    assert np.isinf(found.ratio[3])
    assert found.mean_ratio == pytest.approx(7 / 3)
    assert found.scumble == pytest.approx(imbalance(SMALL).scumble)


def test_single_label_images_have_no_scumble():
    assert imbalance(np.eye(4, dtype=bool)).scumble == 0


def test_a_frequent_class_is_weighted_by_the_rare_ones_that_it_rides_along_with():
    share = shares_with(SMALL, np.array([False, False, True]))
    np.testing.assert_allclose(share, [0.25, 0, 1])
    # of a's 4 images one counts 10 times: 10 of 13
    np.testing.assert_allclose(weight_share(share, 10), [10 / 13, 0, 1])
    np.testing.assert_allclose(weight_share(share, 1), share)


def test_images_that_carry_two_classes_are_counted():
    np.testing.assert_array_equal(together(SMALL), [[4, 2, 1], [2, 2, 0], [1, 0, 1]])


def test_planets_low_frequency_set_holds_in_fewer_than_half_of_the_random_80_percent_parts(real_root):
    data = load_dataset("planet", root=real_root, options=ReadOptions(images_needed=False))
    found = stability(data.labels, np.random.default_rng(1), fraction=0.8, parts=400)
    assert found.same == pytest.approx(0.43, abs=4 * (0.43 * 0.57 / 400) ** 0.5)
    sure = {name for name, share in zip(data.class_names, found.share, strict=True) if share == 1}
    assert sure == {"slash_burn", "conventional_mine", "blow_down"}


def test_planets_rare_labels_come_with_primary_and_the_words_say_so(real_root):
    data = load_dataset("planet", root=real_root, options=ReadOptions(images_needed=False))
    told = " ".join(in_words(label_report(data)))
    assert "98% of the images with a low-frequency class also carry 'primary'" in told
    assert "383 times the images of 'blow_down' (98)" in told
    assert "5 of 17" in told


def test_a_part_without_an_image_is_refused():
    with pytest.raises(UsageError, match=r"a fraction of 0\.1"):
        stability(SMALL, np.random.default_rng(0), fraction=0.1)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    rows = ["image,labels", *(f"{i}.jpg,{'cat' if i % 5 else 'cat|<script>'}" for i in range(40))]
    path.write_text("\n".join(rows))
    return path


def run(*arguments: str | Path):
    return CliRunner().invoke(main, ["labels", *map(str, arguments)])


def test_the_command_needs_no_image_and_fits_eighty_columns(table):
    done = run("--dataset", table)
    assert done.exit_code == 0, done.output
    assert "* <script>" in done.stdout
    assert "The most frequent class has 5 times the images of '<script>' (8)" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_command_fits_eighty_columns_at_planets_size(real_root):
    done = run("--dataset", "planet", "--root", real_root)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "blow_down comes with: primary 100%, clear 87%" in done.stdout


def test_the_command_gives_the_same_as_json(table):
    found = json.loads(run("--dataset", table, "--json").stdout)
    rare = next(each for each in found["classes"] if each["class"] == "<script>")
    assert (rare["images"], rare["imbalance_ratio"], rare["low_frequency"]) == (8, 5.0, True)
    assert rare["together_with"] == {"<script>": 8, "cat": 8}
    assert rare["undersampled"] == 8


def test_labels_that_cannot_be_read_are_one_line(tmp_path):
    done = run("--dataset", tmp_path / "none.csv")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
