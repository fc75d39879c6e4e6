"""Several splits, settings chosen on validation images, and the ranking that comes of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from scored_by_hand import keep_scores, make_pool

from imbpipe.cli import main
from imbpipe.cli.compare import ranking_table
from imbpipe.datasets.dataset import TRAIN, VALIDATION, Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.errors import UsageError
from imbpipe.experiments.experiment import read_experiment
from imbpipe.experiments.ranking import Ranked, rank
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.sentences import NAMED, summary
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.trials import Trials
from imbpipe.experiments.tuning import tuned
from imbpipe.heads.run import Run
from imbpipe.heads.slices import rows_an_epoch
from imbpipe.strategies.plan import Phase, Plan

UNDER, OVER = Setting.of("undersample"), Setting.of("oversample")
MILD, STRONG = Setting.of("upweight", factor=2), Setting.of("upweight", factor=5)
RARE = ("rare", "rarer", "rarest")


def signals(**shifts):
    """On rare classes a setting's signal is 2 plus its shift; on all others it is 2."""

    def signal(setting, name):
        return 2.0 + (shifts.get(setting.strategy, 0.0) if name in RARE else 0.0)

    return signal


def ranked(monkeypatch, tmp_path, settings, signal, own_noise=0.05, **how):
    pool, store = make_pool(settings, splits=6, seeds=1), ResultStore(tmp_path)
    keep_scores(monkeypatch, pool, store, signal, own_noise)
    return rank(Trials(pool, store), "ap", **how)


def test_strategies_are_ranked_by_the_low_frequency_classes_and_told_apart(monkeypatch, tmp_path):
    settings = (BASELINE, UNDER, OVER, MILD)
    ranking = ranked(monkeypatch, tmp_path, settings, signals(oversample=1.0, undersample=-1.0))
    assert next(row.strategy for row in ranking.rows) == "oversample"
    assert [row.strategy for row in ranking.rows][-1] == "undersample"
    rows = {row.strategy: row for row in ranking.rows}
    assert rows["baseline"].on_low_frequency is None
    words = {name: row.on_low_frequency.verdict for name, row in rows.items() if row.on_low_frequency}
    assert words == {"oversample": "better", "undersample": "worse", "upweight": "equivalent"}
    gain = rows["oversample"].on_low_frequency
    assert gain.estimate == pytest.approx(rows["oversample"].low_frequency - rows["baseline"].low_frequency)
    assert gain.low < gain.estimate < gain.high
    assert rows["oversample"].on_remaining.verdict == "equivalent"
    told = " ".join(summary(ranking))
    assert "better: oversample; equivalent: upweight (factor=2.0); worse: undersample" in told
    assert "these data would likely miss" in told
    assert told.startswith("oversample helps the low-frequency classes most: mean ap ")
    assert f"; on the remaining classes {rows['oversample'].on_remaining.estimate:+.3f} [" in told


def test_a_difference_that_cannot_be_told_from_noise_is_said_to_be_that(monkeypatch, tmp_path):
    ranking = ranked(monkeypatch, tmp_path, (BASELINE, OVER), signals(oversample=0.1), own_noise=1.0)
    [row] = [row for row in ranking.rows if row.strategy == "oversample"]
    assert row.on_low_frequency.verdict == "cannot tell"
    assert "cannot tell: oversample" in " ".join(summary(ranking))
    assert summary(ranking)[0] == "Nothing that was compared helps the low-frequency classes for certain."
    assert row.on_low_frequency.detectable > 0.02


def test_of_many_strategies_with_one_verdict_the_best_are_named(monkeypatch, tmp_path):
    factors = (1.5, 2, 3, 4, 5, 6, 7)
    settings = (BASELINE, *(Setting.of("upweight", factor=factor) for factor in factors))
    ranking = ranked(monkeypatch, tmp_path, settings, signals(), own_noise=1.0, choose=False)
    [line] = [line for line in summary(ranking) if line.startswith("On the low-frequency")]
    named = [row.setting for row in ranking.rows if row.on_low_frequency][:NAMED]
    assert [text for text in named if text in line] == named
    assert line.endswith(f" and {len(factors) - NAMED} more.")


def test_p_values_are_adjusted_for_how_many_strategies_there_are(monkeypatch, tmp_path):
    settings = (BASELINE, OVER, UNDER, MILD)
    alone = ranked(monkeypatch, tmp_path / "a", settings[:2], signals(oversample=0.1), own_noise=0.4)
    among = ranked(monkeypatch, tmp_path / "b", settings, signals(oversample=0.1), own_noise=0.4)
    p = [
        next(row.on_low_frequency.p for row in ranking.rows if row.strategy == "oversample")
        for ranking in (alone, among)
    ]
    assert p[1] == pytest.approx(min(1, 3 * p[0]), rel=0.01) or p[1] > p[0]


def test_a_setting_is_chosen_on_validation_images_whatever_it_does_on_test_images(monkeypatch, tmp_path):
    pool, store = make_pool((BASELINE, MILD, STRONG), splits=1), ResultStore(tmp_path)
    keep_scores(monkeypatch, pool, store, signals())
    [grid] = pool.grids
    for setting, part in ((STRONG, "validation"), (MILD, "test")):
        for seed in grid.seeds:
            make_perfect(store, grid, setting, seed, part)
    chosen = tuned(Trials(pool, store), "ap")
    assert chosen == {BASELINE: 1, STRONG: 2}
    ranking = rank(Trials(pool, store), "ap")
    assert {(row.strategy, row.setting, row.settings) for row in ranking.rows} == {
        ("baseline", "", 1),
        ("upweight", "factor=5.0", 2),
    }
    every = rank(Trials(pool, store), "ap", choose=False)
    assert {row.setting for row in every.rows} == {"", "factor=2.0", "factor=5.0"}


def make_perfect(store, grid, setting, seed, part):
    """Rewrite a kept run so that its scores of one part are the labels themselves."""
    from dataclasses import replace

    key = grid.keys[setting, seed]
    run = store.scores(*grid.place, key)
    labels = getattr(run, f"{part}_labels")
    changed = replace(run, **{part: np.where(labels, 0.9, 0.1).astype(np.float32)})
    store.save(*grid.place, key, store.load(*grid.place, [key]), changed)


def test_kept_scores_come_back_with_labels_and_thresholds(monkeypatch, tmp_path):
    pool, store = make_pool((BASELINE,), splits=1, seeds=1), ResultStore(tmp_path)
    keep_scores(monkeypatch, pool, store, signals())
    [grid] = pool.grids
    run = store.scores(*grid.place, grid.keys[BASELINE, 0])
    np.testing.assert_array_equal(run.test_labels, pool.material.dataset.labels[grid.split.test])
    np.testing.assert_array_equal(run.validation_rows, grid.split.validation)
    table = store.load(*grid.place, [grid.keys[BASELINE, 0]])
    np.testing.assert_array_equal(run.thresholds, table["threshold"])


def test_runs_of_several_splits_are_pooled_and_each_is_kept_once(monkeypatch, tmp_path):
    pool, store = make_pool((BASELINE, OVER), splits=3, seeds=2), ResultStore(tmp_path)
    keep_scores(monkeypatch, pool, store, signals())
    results = pool.results(store)
    assert len(results.groupby(["split", "seed", "strategy"])) == 3 * 2 * 2 == results["run"].nunique()
    assert pool.train(store) == 0


def test_the_cost_of_a_plan_is_the_rows_it_draws_an_epoch():
    train = np.arange(100)
    run = Run(train, train, Plan((Phase(), Phase(start=0.5, rows=np.zeros(300, int)))), 0)
    assert rows_an_epoch(run, 4) == 200
    assert rows_an_epoch(Run(train, train, Plan(), 0), 4) == 100


def dataset(official=None, n=100):
    labels = np.arange(n)[:, None] % 4 == np.arange(4)
    ids = tuple(map(str, range(n)))
    return Dataset("d", ids, tuple(map(Path, ids)), labels, ("a", "b", "c", "d"), "single-label", official)


def test_a_split_without_test_images_chooses_on_the_images_that_it_reports_on():
    split = make_split(dataset(), 0, kind="no-test")
    np.testing.assert_array_equal(split.validation, split.test)
    assert (len(split.train), len(split.test)) == (80, 20)
    assert not set(split.train) & set(split.test)
    assert split.name == "no-test-80-0-20-seed0"
    official = np.where(np.arange(100) < 91, TRAIN, VALIDATION).astype(np.int8)
    owners = make_split(dataset(official), 0, kind="no-test")
    np.testing.assert_array_equal(owners.test, np.arange(91, 100))
    np.testing.assert_array_equal(owners.validation, owners.test)


HEAD = 'datasets = ["photos"]\nencoders = ["mean-colour"]\n'
STRATEGY = '[[strategies]]\nstrategy = "undersample"\n'


def experiment(tmp_path, more, tail=STRATEGY):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + more + tail)
    return path


def test_an_experiment_may_train_otherwise_on_one_data_set(tmp_path):
    more = "[protocol]\nepochs = 20\n[on.ade20k]\npercentile = 55\nprotocol = { epochs = 10 }\n"
    read = read_experiment(experiment(tmp_path, more))
    assert read.on_dataset("planet").protocol.epochs == 20
    assert read.on_dataset("ade20k").protocol.epochs == 10
    assert (read.on_dataset("planet").percentile, read.on_dataset("ade20k").percentile) == (25, 55)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("splits = 0\n", "splits is 0"),
        ("[on.planet]\nepochs = 3\n", "on.planet has no 'epochs'"),
        ("[on.planet.protocol]\nepoch = 3\n", "on.planet.protocol has no 'epoch'"),
        ('thresholds = "beta"\n', "thresholds is 'beta'"),
    ],
)
def test_a_wrong_line_of_an_experiment_file_is_named(tmp_path, more, says):
    with pytest.raises(UsageError, match=says):
        read_experiment(experiment(tmp_path, more))


def test_the_table_fits_a_terminal_with_a_strategy_and_its_setting():
    from imbpipe.experiments.ranking import Difference, Ranking

    difference = Difference(-0.0684, -0.1021, -0.0342, 0.0004, 0.03, "worse")
    row = Ranked("undersample", "threshold=200", 1, 0.467, 0.512, 0.732, difference, difference, 0.083)
    columns, rows = ranking_table(Ranking("ap", (row,), ()))
    widths = [max(len(a), len(b)) for a, b in zip(columns, rows[0], strict=True)]
    assert rows[0][4] == "-.068 [-.102, -.034]"
    assert sum(widths) + 2 * (len(widths) - 1) <= 90


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with 30 red, 15 green and 15 blue images, encoded."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, count, colour in (
        ("red", 30, (200, 30, 30)),
        ("green", 15, (30, 200, 30)),
        ("blue", 15, (30, 30, 200)),
    ):
        for number in range(count):
            path = tmp_path / "photos" / name / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(-90, 90, (8, 8, 3)) // 4 + rng.integers(-90, 90, 3)
            Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)
    assert run("extract", "--encoder", "mean-colour", "--dataset", "photos").exit_code == 0
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def test_compare_ranks_keeps_the_table_and_says_it_in_json(photos):
    path = experiment(photos, "splits = 2\nseeds = 2\n[protocol]\nepochs = 2\n")
    first = run("compare", path)
    assert first.exit_code == 0
    assert "2 splits with 2 seeds on each (stratified-60-20-20-seed0 to seed1)" in first.stdout
    assert "against baseline" in first.stdout
    kept = pd.read_parquet("cache/tables/ranking-mine.parquet")
    rows = json.loads(run("compare", path, "--json").stdout)
    assert [row["strategy"] for row in rows] == list(kept["strategy"])
    assert {"on_low_frequency.estimate", "rows", "recall"} <= set(kept)
    assert {row["rows"] for row in rows if row["strategy"] == "baseline"} == {1.0}


def test_images_of_a_group_stay_on_one_side_and_the_table_says_so(photos):
    images = sorted(photos.glob("photos/*/*.png"))
    rows = [f"{path.relative_to(photos)},{path.parent.name},{int(path.stem) // 3}" for path in images]
    Path("places.csv").write_text("\n".join(["image,label,place", *rows]))
    assert run("extract", "--encoder", "mean-colour", "--dataset", "places.csv").exit_code == 0
    text = experiment(photos, 'seeds = 2\n[reading]\ngroup_column = "place"\n[protocol]\nepochs = 1\n')
    text.write_text(text.read_text().replace('["photos"]', '["places.csv"]'))
    told = run("compare", text)
    assert "places (60 images in 10 groups), mean-colour" in told.stdout, told.output
    places = np.array([int(path.stem) // 3 for path in images])
    for file in Path("cache/scores/places").rglob("*.npz"):
        kept = np.load(file)
        sides = [set(places[kept[f"{part}_rows"]]) for part in ("validation", "test")]
        sides.append(set(places) - set.union(*sides))
        assert sum(map(len, sides)) == 10
        assert all(sides)
        rest = np.delete(places, np.concatenate([kept["validation_rows"], kept["test_rows"]]))
        assert set(rest) == sides[2]


def test_features_that_are_there_do_without_images_on_request(photos):
    path = experiment(photos, "seeds = 1\n[protocol]\nepochs = 1\n")
    missing = run("compare", path, "--cached", "--cache", "elsewhere")
    assert missing.exit_code == 1
    assert "elsewhere holds no features that the experiment names" in missing.stderr
    assert run("compare", path, "--cached").exit_code == 0


def test_a_metric_whose_differences_have_no_interval_is_refused_before_anything_is_trained(photos):
    result = run("compare", experiment(photos, "seeds = 1\n"), "--metric", "ece")
    assert (result.exit_code, list(Path("cache").rglob("*.npz"))) == (2, [])
    assert "ece" in result.stderr
