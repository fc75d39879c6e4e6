"""The grid: what is trained, kept, joined and compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import average_precision_score, fbeta_score, recall_score

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.errors import ResultsError, StoreError, UsageError
from imbpipe.experiments.experiment import read_experiment
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material, gather
from imbpipe.experiments.results import ResultStore, to_logits, to_scores
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.table import compare_with_baseline
from imbpipe.heads.run import HeadConfig, Protocol
from imbpipe.types import FeatureSet

CLASSES = ("common", "middling", "rare")
QUICK = Protocol(HeadConfig(hidden=8), epochs=2)


def make_material(n=240, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random((n, 3)) < [0.6, 0.3, 0.08]
    features = (labels @ rng.normal(size=(3, 6)) + rng.normal(size=(n, 6))).astype(np.float32)
    ids = tuple(f"image {i}" for i in range(n))
    dataset = Dataset("tiny", ids, tuple(map(Path, ids)), labels, CLASSES, "multi-label")
    source = FeatureSet(
        features, ids, labels, CLASSES, "multi-label", "tiny", "eye", {"weights": "random"}, "digest", {}
    )
    return Material(features, dataset, source, ())


def make_grid(material=None, **changes):
    material = material or make_material()
    split = make_split(material.dataset, 0)
    settings = (
        BASELINE,
        Setting.of("upweight", factor=5),
        Setting.of("undersample"),
        Setting.of("oversample"),
    )
    return replace(Grid(material, split, settings, (0, 1, 2), QUICK), **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    grid, store = make_grid(), ResultStore(tmp_path_factory.mktemp("cache"))
    assert grid.train(store) == 12
    return grid, store


def test_the_kept_metrics_are_those_of_scikit_learn_on_the_kept_scores(trained):
    grid, store = trained
    for cell, key in grid.keys.items():
        run = store.scores("tiny", "eye", key)
        table = store.load("tiny", "eye", [key]).set_index("class_name")
        assert set(table["strategy"]) == {cell[0].strategy}
        np.testing.assert_array_equal(run.test_labels, grid.material.dataset.labels[grid.split.test])
        for c, name in enumerate(CLASSES):
            truth, scores = run.test_labels[:, c], run.test[:, c]
            chosen = scores > table["threshold"][name]
            assert table["ap"][name] == pytest.approx(average_precision_score(truth, scores), abs=1e-9)
            assert table["recall"][name] == pytest.approx(recall_score(truth, chosen, zero_division=0))
            assert table["predicted_negative_rate"][name] == pytest.approx(1 - chosen.mean())


def test_thresholds_are_the_best_on_validation_images_and_never_see_the_test_images(trained):
    grid, store = trained
    key = grid.keys[BASELINE, 0]
    run, table = store.scores("tiny", "eye", key), store.load("tiny", "eye", [key]).set_index("class_name")
    for c, name in enumerate(CLASSES):
        truth, scores = run.validation_labels[:, c], run.validation[:, c]
        best = max(fbeta_score(truth, scores >= cut, beta=2, zero_division=0) for cut in np.unique(scores))
        assert fbeta_score(truth, scores > table["threshold"][name], beta=2) == pytest.approx(best)


def test_results_read_with_pandas_in_one_line(trained):
    _, store = trained
    everything = pd.read_parquet(store.root / "runs")
    assert len(everything) == 12 * len(CLASSES)
    assert {"dataset", "encoder", "weights", "strategy", "setting", "seed", "class_name", "ap", "f2"} <= set(
        everything
    )
    assert everything.query("class_name == 'rare'")["low_frequency"].all()


def test_a_finished_run_is_never_trained_again(trained):
    grid, store = trained
    assert grid.train(store) == 0


def test_an_interrupted_grid_goes_on_and_ends_as_an_unbroken_one(trained, tmp_path):
    grid, unbroken = trained
    store = ResultStore(tmp_path)
    saves = []

    def dying_save(*args):
        if len(saves) == 5:
            raise KeyboardInterrupt
        saves.append(args)
        return ResultStore.save(store, *args)

    broken = ResultStore(tmp_path)
    broken.save = dying_save
    with pytest.raises(KeyboardInterrupt):
        grid.train(broken)
    assert grid.train(store) == 12 - 5
    pd.testing.assert_frame_equal(grid.results(store), grid.results(unbroken))


def test_a_run_s_numbers_do_not_depend_on_what_else_is_in_the_grid(trained, tmp_path):
    grid, store = trained
    alone = replace(grid, settings=(Setting.of("oversample"),), seeds=(1,))
    alone.train(ResultStore(tmp_path))
    [key] = alone.keys.values()
    apart, together = (s.scores("tiny", "eye", key).test for s in (ResultStore(tmp_path), store))
    np.testing.assert_allclose(apart, together, atol=2e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": replace(QUICK, epochs=3)},
        {"protocol": replace(QUICK, head=HeadConfig(hidden=9))},
        {"protocol": replace(QUICK, learning_rate=1e-4)},
        {"beta": 1.0},
        {"split": make_split(make_material().dataset, 1)},
        {"seeds": (7,)},
        {"settings": (Setting.of("upweight", factor=3),)},
        {"material": make_material(seed=1)},
        {"material": replace(make_material(), source=replace(make_material().source, digest="other"))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_number_changes_the_key_of_a_run(change):
    grid = make_grid()
    assert not set(grid.keys.values()) & set(replace(grid, **change).keys.values())


def test_the_order_of_settings_and_seeds_leaves_the_keys_alone():
    grid = make_grid()
    turned = replace(grid, settings=grid.settings[::-1], seeds=grid.seeds[::-1])
    assert turned.keys == grid.keys


def test_a_grid_with_runs_missing_says_so(tmp_path):
    with pytest.raises(ResultsError, match="no finished run"):
        make_grid().results(ResultStore(tmp_path))


def test_a_damaged_result_is_named_with_the_remedy(tmp_path):
    path = ResultStore(tmp_path).metrics_path("tiny", "eye", "0123")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(ResultsError, match=r"0123\.parquet: .*Delete the file and train again"):
        ResultStore(tmp_path).load("tiny", "eye", ["0123"])


@given(hnp.arrays(np.float32, (5, 3), elements=st.floats(0, 1, width=32)))
def test_scores_survive_keeping_and_keep_their_order(scores):
    kept = to_scores(to_logits(scores))
    np.testing.assert_allclose(kept, scores, atol=5e-4)
    flat, again = scores.ravel(), kept.ravel()
    assert (np.diff(again[np.argsort(flat, kind="stable")]) >= 0).all()


def test_the_table_pairs_differences_by_seed_as_scipy_does():
    runs = pd.DataFrame(
        [
            {
                "strategy": s,
                "setting": "",
                "seed": seed,
                "class_name": c,
                "low_frequency": low,
                "ap": value + bump,
            }
            for s, bump, noise in (("baseline", 0.0, 0.0), ("oversample", 0.1, 0.01))
            for seed, base in enumerate((0.5, 0.6, 0.8))
            for c, low, value in (("rare", True, base + noise * seed), ("common", False, 0.9))
        ]
    )
    rows = {(row.strategy, row.group): row for row in compare_with_baseline(runs, "ap")}
    baseline, ours = rows["baseline", "low-frequency"], rows["oversample", "low-frequency"]
    assert baseline.difference is None
    assert baseline.value.mean == pytest.approx(np.mean([0.5, 0.6, 0.8]))
    wanted = stats.ttest_1samp([0.1, 0.11, 0.12], 0).confidence_interval()
    assert (ours.difference.low, ours.difference.high) == pytest.approx((wanted.low, wanted.high))
    assert rows["oversample", "remaining"].difference.mean == pytest.approx(0.1)


def test_a_class_without_test_positives_is_left_out_of_every_mean():
    runs = pd.DataFrame(
        [
            {"strategy": s, "setting": "", "seed": 0, "class_name": c, "low_frequency": True, "ap": v}
            for s in ("baseline", "oversample")
            for c, v in (("rare", 0.4), ("rarest", np.nan))
        ]
    )
    for row in compare_with_baseline(runs, "ap"):
        assert (row.classes, row.value.mean) == (1, 0.4)


def test_images_set_aside_at_extraction_are_left_out_and_named():
    material = make_material(6)
    source = replace(
        material.source,
        features=material.features[[4, 3, 2, 0]],
        ids=("image 4", "image 3", "image 2", "image 0"),
        quarantined={"image 1": "truncated", "image 5": "empty"},
    )
    joined = gather(material.dataset, source)
    assert joined.dataset.ids == ("image 0", "image 2", "image 3", "image 4")
    assert joined.left_out == ("image 1", "image 5")
    np.testing.assert_array_equal(joined.features, material.features[[0, 2, 3, 4]])
    np.testing.assert_array_equal(joined.dataset.labels, material.dataset.labels[[0, 2, 3, 4]])


def test_an_image_that_was_never_encoded_is_named_with_the_command():
    material = make_material(6)
    source = replace(material.source, features=material.features[:4], ids=material.source.ids[:4])
    with pytest.raises(
        StoreError, match=r"2 of 6 images .* \(first: image 4\).*Run: imbpipe extract --dataset tiny"
    ):
        gather(material.dataset, source)


def test_an_experiment_file_expands_lists_and_keeps_settings_for_their_data_sets(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(
        'datasets = [["planet", "sample"]]\nencoders = ["resnet18"]\nseeds = 2\n[protocol]\nepochs = 3\n'
        '[[strategies]]\nstrategy = "upweight"\nfactor = [2, 5]\nper = ["image", "label"]\n'
        '[[strategies]]\nstrategy = "undersample"\nthreshold = 200\ndatasets = ["planet"]\n'
    )
    experiment = read_experiment(path)
    assert [s.label for s in experiment.settings("sample")] == [
        "",
        "factor=2.0",
        "factor=2.0, per=label",
        "factor=5.0",
        "factor=5.0, per=label",
    ]
    assert experiment.settings("planet")[-1].label == "threshold=200"
    assert (experiment.protocol.epochs, experiment.protocol.batch_size, experiment.seeds) == (3, 64, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets = [", "x.toml: "),
        ('datasets = ["a"]\nencoders = ["b"]\n', "names no strategies"),
        ('datasets = ["a"]\nencoder = ["b"]\n', "has no 'encoder'"),
        (
            'datasets = ["a"]\nencoders = ["b"]\n[[strategies]]\nstrategy = "upweigh"\n',
            "Did you mean 'upweight'",
        ),
        ('datasets = ["a"]\nencoders = ["b"]\n[[strategies]]\nfactor = 2\n', "names no strategy"),
        (
            'datasets = ["a"]\nencoders = ["b"]\nseeds = 0\n[[strategies]]\nstrategy = "baseline"\n',
            "seeds is 0",
        ),
        (
            'datasets = ["a"]\nencoders = ["b"]\n[protocol]\nlr = 1\n[[strategies]]\nstrategy = "baseline"\n',
            "no 'lr'",
        ),
    ],
)
def test_a_wrong_experiment_file_is_told_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises((ResultsError, UsageError)) as error:
        read_experiment(path)
    assert message in str(error.value)
    assert "x.toml" in str(error.value)
