"""The first minutes, and what the terminal says beforehand, meanwhile and afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from imbpipe.cache.rates import Rates
from imbpipe.cli import main
from imbpipe.cli.forecast import expected
from imbpipe.cli.output import table_lines
from imbpipe.cli.train import comparison_table
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import low_frequency
from imbpipe.datasets.words import describe_imbalance
from imbpipe.experiments.quick import FOR_TASK, SHORT_LIST, percentile_for, quick_experiment, quick_file
from imbpipe.experiments.table import Comparison, Estimate


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def paint(folder: Path) -> None:
    rng = np.random.default_rng(0)
    colours = {"red": (40, (190, 50, 50)), "green": (20, (50, 190, 50)), "blue": (10, (90, 90, 90))}
    for name, (count, colour) in colours.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            noise = np.array(colour) + rng.integers(-60, 60, 3)
            picture = np.broadcast_to(np.clip(noise, 0, 255).astype(np.uint8), (8, 8, 3))
            Image.fromarray(picture).save(folder / name / f"{number:02}.png")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which `quickstart photos` ran; what it printed."""
    folder = tmp_path_factory.mktemp("quick")
    paint(folder / "photos")
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder, run("quickstart", "photos", "--encoder", "mean-colour", "--seeds", 1, "--splits", 2)
    finally:
        os.chdir(before)


def test_one_command_leads_from_images_to_words_and_a_page(done):
    folder, result = done
    assert result.exit_code == 0, result.output
    assert "photos: 70 images with 3 classes, one an image." in result.stdout
    assert "Rarest: 'blue' on 10 (14.3%), 4.0 times fewer." in result.stdout.replace("\n  ", " ")
    assert "On the low-frequency classes, against the baseline" in result.stdout.replace("\n  ", " ")
    assert "Step 1 of 3. Encode 70 of 70 images by mean-colour" in result.stderr
    page = (folder / "quickstart.html").read_text(encoding="utf-8")
    assert "Which way of handling class imbalance helps on photos?" in page
    assert "imbpipe report quickstart.toml" in page


def test_the_experiment_that_it_wrote_shows_the_same_again_without_training(done):
    folder, first = done
    runs = {path: path.stat().st_mtime_ns for path in (folder / "cache/runs").rglob("*.parquet")}
    again = run("compare", "quickstart.toml")
    table = first.stdout[first.stdout.index("strategy") : first.stdout.index("The page")].strip()
    assert table in again.stdout
    assert run("report", "quickstart.toml", "--out", "again.html").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache/runs").rglob("*.parquet")} == runs


def test_another_comparison_is_not_written_over_an_earlier_one(done):
    result = run("quickstart", "photos", "--encoder", "mean-colour", "--seeds", 2)
    assert result.exit_code == 1
    assert "quickstart.toml holds another comparison" in result.stderr


def test_a_second_call_finds_everything_done(done):
    result = run("quickstart", "photos", "--encoder", "mean-colour", "--seeds", 1, "--splits", 2, "--json")
    assert "Encode nothing: all 70 images by mean-colour are there already." in result.stderr
    assert "Train nothing: all 20 heads" in result.stderr
    answer = json.loads(result.stdout)
    assert (answer["encoder"], answer["page"]) == ("mean-colour", "quickstart.html")
    assert len(answer["ranking"]) == 10


@pytest.mark.usefixtures("done")
def test_a_dry_run_says_what_is_left_and_how_long_it_should_take():
    told = [
        json.loads(run(*command, "--dry-run", "--json").stdout)
        for command in (
            ("quickstart", "photos", "--encoder", "mean-colour", "--seeds", 3, "--splits", 2),
            ("compare", "quickstart.toml"),
        )
    ]
    assert [(each["to_encode"], each["heads"], each["to_train"]) for [each] in told] == [
        (0, 60, 50),
        (0, 20, 0),
    ]
    assert told[0][0]["train_seconds"] > 0
    Image.new("RGB", (8, 8)).save("photos/red/new.png")
    try:
        line = run("extract", "--dataset", "photos", "--encoder", "mean-colour", "--dry-run").stdout
        assert "photos by mean-colour: would encode 1 of 71 images, about 1 s." in line
    finally:
        Path("photos/red/new.png").unlink()


def test_where_nothing_was_measured_a_dry_run_says_so_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "photos")
    before = sorted(tmp_path.rglob("*"))
    result = run("quickstart", "photos", "--encoder", "mean-colour", "--dry-run")
    assert "would encode 70 of 70 images, time unknown until measured." in result.stdout
    assert "Would train 60 of 60 heads, time unknown until measured." in result.stdout
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["no-such-folder"], 2, "no data set named 'no-such-folder'"),
        (["photos", "--out", "page.toml"], 2, "Let it end in .html"),
        (["photos", "--encoder", "resnet81"], 2, "Did you mean 'resnet18'?"),
        (["table.csv"], 1, "Pass --image-column NAME"),
    ],
)
def test_what_cannot_be_meant_stops_before_any_work(done, arguments, status, says):
    Path("table.csv").write_text("where,label\na.png,x\n")
    result = run("quickstart", *arguments)
    assert (result.exit_code, says in result.stderr) == (status, True), result.stderr


def test_how_labels_are_read_is_written_into_the_experiment(tmp_path):
    path = tmp_path / "labels.csv"
    told = {"image_column": "where", "label_separator": "", "allow_missing": True}
    read = quick_experiment(quick_file(str(path), "multi-label", ("a", 'b"\\'), told))
    assert read.datasets == ((str(path),),)
    assert read.encoders == (("a", 'b"\\'),)
    options = read.read_options(images_needed=False)
    assert (options.image_column, options.label_separator, options.allow_missing) == ("where", "", True)


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_the_short_list_has_no_setting_twice(task):
    settings = quick_experiment(quick_file("photos", task)).settings("photos")
    assert len(settings) == 1 + len(SHORT_LIST) + len(FOR_TASK[task])


def test_the_words_name_the_extremes_and_the_low_frequency_classes():
    labels = np.zeros((100, 5), bool)
    for column, count in enumerate((90, 40, 20, 3, 0)):
        labels[:count, column] = True
    dataset = Dataset("d", tuple(map(str, range(100))), (), labels, tuple("abcde"), "multi-label")
    assert describe_imbalance(dataset) == [
        "d: 100 images with 5 labels, 1.5 an image on average.",
        "Most frequent: 'a' on 90 images (90.0%). Rarest: 'e' on 0 (0.0%).",
        "Low-frequency classes (counts up to the percentile 25): e (0), d (3).",
    ]


def test_classes_too_rare_to_be_measured_do_not_take_the_place_of_the_low_frequency_ones():
    assert percentile_for(np.array([20, 30, 400, 500])) == 25
    counts = np.array([1, 2, 3, 20, 30, 100, 200, 300])
    low = low_frequency(counts, percentile_for(counts))
    assert counts[low].tolist() == [1, 2, 3, 20, 30]


def test_a_rate_is_what_was_measured_and_newer_measurements_count_more(tmp_path):
    rates = Rates(tmp_path)
    assert rates.seconds("encode x cpu", 10) is None
    rates.note("encode x cpu", 100, 10)
    assert rates.seconds("encode x cpu", 50) == pytest.approx(5)
    rates.note("encode x cpu", 100, 40)
    assert rates.seconds("encode x cpu", 150) == pytest.approx(45)
    (tmp_path / "rates.json").write_text("{broken")
    assert rates.seconds("encode x cpu", 50) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "time unknown until measured"),
        (0.01, "about 1 s"),
        (80, "about 80 s"),
        (200, "about 3 min"),
        (9000, "about 2 h"),
    ],
)
def test_how_long_is_told_in_round_units(seconds, words):
    assert expected(seconds) == words


def test_the_table_of_train_fits_eighty_columns():
    value, difference = Estimate(0.467, 0.445, 0.488), Estimate(-0.068, -0.102, -0.034)
    names = ("undersample", ""), ("upweight", "factor=3.0, per=label"), ("k-center", "threshold=30000")
    rows = [Comparison(*name, "low-frequency", 11, 5, value, difference) for name in names]
    lines = table_lines(*comparison_table(rows, "ap"), 80)
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[-3:] == ["-.068", "[-.102,", "-.034]"]
    assert {"upweight", "(factor=3.0,", "per=label)"} <= set(" ".join(lines).split())
    unfolded = table_lines(*comparison_table(rows, "ap"), None)
    assert len(unfolded) == 1 + len(rows)


def test_a_log_holds_times_and_messages_of_one_call_after_another(done):
    for _ in range(2):
        run("--log", "run.log", "extract", "--dataset", "photos", "--encoder", "mean-colour")
    run("--log", "run.log", "train", "--dataset", "nowhere/at/all")
    run("extract", "--dataset", "photos", "--encoder", "mean-colour")
    lines = Path("run.log").read_text(encoding="utf-8").splitlines()
    assert all(line[:2] == "20" and " INFO " in line for line in lines)
    assert sum("0 images encoded, 70 already there" in line for line in lines) == 2
    assert any("Error: there is no folder or file 'nowhere/at/all'" in line for line in lines)
    refused = run("--log", "no/such/folder/run.log", "encoders")
    assert (refused.exit_code, "cannot write the log" in refused.stderr) == (1, True)


def test_the_shell_is_told_how_to_complete_and_completes_commands():
    def ask(**more):
        environment = {**os.environ, **more}
        return subprocess.run(
            [sys.executable, "-c", "from imbpipe.cli import main; main(prog_name='imbpipe')"],
            env=environment, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip

    assert "complete -o nosort -F _imbpipe_completion imbpipe" in ask(_IMBPIPE_COMPLETE="bash_source")
    offered = ask(_IMBPIPE_COMPLETE="bash_complete", COMP_WORDS="imbpipe qu", COMP_CWORD="1")
    assert offered.split() == ["plain,quickstart"]
