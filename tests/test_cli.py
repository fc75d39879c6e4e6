"""The command line as a person meets it: what it prints, what it leaves behind, how it ends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from imbpipe.cli import main


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def paint(path: Path, colour: tuple[int, int, int], rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = rng.integers(-20, 20, (16, 16, 3))
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with a folder of images in it: 24 red, 12 green, 6 blue."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IMBPIPE_DATA", raising=False)
    rng = np.random.default_rng(0)
    for name, count, colour in (
        ("red", 24, (200, 30, 30)),
        ("green", 12, (30, 200, 30)),
        ("blue", 6, (30, 30, 200)),
    ):
        for number in range(count):
            paint(tmp_path / "photos" / name / f"{number:02}.png", colour, rng)
    return tmp_path


@pytest.fixture
def encoded(here):
    assert run("extract", "--encoder", "mean-colour", "--dataset", "photos").exit_code == 0
    return here


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_two_commands_lead_from_a_folder_of_images_to_a_table(encoded):
    result = run("train", "--strategy", "undersample", "--dataset", "photos", "--seeds", 2, "--epochs", 2)
    assert result.exit_code == 0
    assert "photos (42 images), mean-colour (none weights), 2 seeds" in result.stdout.replace(
        "pretrained", "none"
    )
    assert "undersample" in result.stdout
    assert "against baseline" in result.stdout
    assert set(pd.read_parquet("cache/runs")["class_name"]) == {"red", "green", "blue"}


def test_extract_tells_how_many_images_were_encoded_and_a_second_call_encodes_nothing(here):
    first = run("extract", "--encoder", "mean-colour", "--dataset", "photos")
    again = run("extract", "--encoder", "mean-colour", "--dataset", "photos")
    assert "42 images encoded, 0 already there, 0 set aside" in first.stdout
    assert "0 images encoded, 42 already there, 0 set aside" in again.stdout


def test_a_long_extraction_whose_encoder_waited_says_what_limits_it(here, monkeypatch):
    def slowly(path: Path) -> bytes:
        time.sleep(0.01)
        return path.read_bytes()

    monkeypatch.setattr("imbpipe.extract.batches.read_bytes", slowly)
    assert "waited" not in run("extract", "--encoder", "mean-colour", "--dataset", "photos").stderr
    monkeypatch.setattr("imbpipe.cli.encoded.LONG_SECONDS", 0)
    again = run("extract", "--encoder", "mean-colour", "--dataset", "photos", "--cache", "other")
    assert "The encoder waited for images " in again.stderr
    assert "% of the time: what limits it is reading and decoding them" in again.stderr


def test_a_changed_image_is_encoded_again_and_no_other(encoded):
    time.sleep(0.01)
    paint(encoded / "photos/blue/03.png", (0, 0, 90), np.random.default_rng(9))
    assert (
        "1 images encoded, 41 already there"
        in run("extract", "--encoder", "mean-colour", "--dataset", "photos").stdout
    )


def test_training_on_features_of_an_image_that_changed_is_refused(encoded):
    time.sleep(0.01)
    paint(encoded / "photos/blue/03.png", (0, 0, 90), np.random.default_rng(9))
    result = run("train", "--dataset", "photos")
    assert result.exit_code == 1
    assert "03.png" in result.stderr
    assert "Run: imbpipe extract" in result.stderr


def test_json_is_one_document_on_stdout(encoded):
    rows = json.loads(run("train", "--dataset", "photos", "--seeds", 1, "--epochs", 1, "--json").stdout)
    assert {row["strategy"] for row in rows} == {"baseline"}
    assert rows[0]["value"]["low"] is None
    summary = json.loads(run("extract", "--encoder", "mean-colour", "--dataset", "photos", "--json").stdout)
    assert (summary["encoded"], summary["dataset"]) == (0, "photos")
    for kind in ("datasets", "encoders", "strategies", "metrics"):
        assert all(entry["summary"] for entry in json.loads(run(kind, "--json").stdout))


def test_what_cannot_be_read_is_set_aside_by_name_and_the_rest_goes_on(here):
    (here / "photos/red/99.png").write_text("<html>404</html>")
    (here / "photos/blue/98.jpg").write_bytes(b"")
    result = run("extract", "--encoder", "mean-colour", "--dataset", "photos")
    assert result.exit_code == 3
    assert "42 images encoded, 0 already there, 2 set aside" in result.stdout
    assert "99.png" in result.stderr
    assert "98.jpg" in result.stderr
    again = run("extract", "--encoder", "mean-colour", "--dataset", "photos")
    assert (again.exit_code, "0 images encoded, 42 already there, 2 set aside" in again.stdout) == (3, True)
    assert run("train", "--dataset", "photos", "--seeds", 1, "--epochs", 1).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["extract", "--dataset", "plant"], 2, ["no data set named 'plant'", "Did you mean 'planet'?"]),
        (["extract", "--dataset", "planet"], 1, ["train_v2.csv", "--root"]),
        (["extract", "--dataset", "planet", "--root", "no-such-folder"], 1, ["no-such-folder"]),
        (["extract", "--dataset", "nowhere/at/all"], 1, ["nowhere/at/all"]),
        (
            ["extract", "--encoder", "resnet81"],
            2,
            ["no encoder named 'resnet81'", "Did you mean 'resnet18'?"],
        ),
        (
            ["extract", "--encoder", "resnet18", "--weights", "none.pth", "--dataset", "photos"],
            1,
            ["none.pth"],
        ),
        (["extract", "--batch-size", "0"], 2, ["--batch-size"]),
        (["extract", "--dtype", "int8"], 2, ["float16"]),
        (
            ["extract", "--encoder", "mean-colour", "--dataset", "photos", "--max-bad", "7"],
            2,
            ["--max-bad"],
        ),
        (
            ["train", "--dataset", "photos"],
            1,
            ["no features of 'photos'", "Run: imbpipe extract --dataset photos"],
        ),
        (["train", "--strategy", "undersampel"], 2, ["Did you mean 'undersample'?"]),
        (["train", "--strategy", "undersample", "--factor", "3"], 2, ["factor"]),
        (["train", "--strategy", "upweight", "--factor", "big"], 2, ["factor is a number, not 'big'"]),
        (["train", "--metric", "accurracy"], 2, ["Did you mean 'accuracy'?"]),
        (["train", "--seeds", "0"], 2, ["--seeds"]),
        (["train", "--split", "halves"], 2, ["stratified"]),
        (["compare", "none.toml"], 1, ["no experiment file none.toml"]),
        (["figures", "none.toml"], 1, ["no experiment file none.toml"]),
        (["cache", "info", "--dataset", "photos"], 1, ["imbpipe cache list"]),
        (
            ["cache", "export", "--dataset", "photos", "--encoder", "mean-colour", "--format", "npy", "x"],
            1,
            ["photos"],
        ),
        (["trian"], 2, ["No such command"]),
    ],
    ids=lambda value: (
        " ".join(value) if isinstance(value, list) and value[0] in {"extract", "train"} else None
    ),
)
def test_a_mistake_is_answered_in_one_line_and_leaves_nothing_behind(here, arguments, status, says):
    before = files_in(here)
    result = run(*arguments)
    assert result.exit_code == status
    for words in says:
        assert words in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error")]) == 1
    assert files_in(here) == before


def test_features_of_another_encoder_are_refused_with_the_command_that_makes_the_right_ones(encoded):
    result = run("train", "--dataset", "photos", "--encoder", "resnet18")
    assert result.exit_code == 1
    assert "no features of 'photos' by 'resnet18'" in result.stderr
    assert "Run: imbpipe extract --dataset photos --encoder resnet18" in result.stderr


def test_a_class_with_one_example_is_named_and_left_out(encoded):
    paint(encoded / "photos/violet/only.png", (150, 0, 150), np.random.default_rng(1))
    run("extract", "--encoder", "mean-colour", "--dataset", "photos")
    result = run("train", "--dataset", "photos", "--seeds", 1, "--epochs", 1)
    assert result.exit_code == 0
    assert "violet" in result.stderr


def test_a_table_with_an_image_that_is_missing_names_it(here):
    (here / "labels.csv").write_text("image,label\nphotos/red/00.png,red\nphotos/blue/gone.png,blue\n")
    result = run("extract", "--encoder", "mean-colour", "--dataset", "labels.csv")
    assert result.exit_code == 1
    assert "gone.png" in result.stderr


def test_an_unknown_tag_is_answered_with_the_right_one(here):
    (here / "data/planet/train-jpg").mkdir(parents=True)
    (here / "data/planet/train_v2.csv").write_text("image_name,tags\ntrain_0,claer primary\n")
    result = run("extract", "--encoder", "mean-colour", "--dataset", "planet")
    assert result.exit_code == 1
    assert "claer" in result.stderr
    assert "clear" in result.stderr


def test_an_experiment_file_leads_from_images_to_figures_and_runs_nothing_twice(encoded):
    (encoded / "mine.toml").write_text(
        'datasets = ["photos"]\nencoders = ["mean-colour"]\nseeds = 2\n[protocol]\nepochs = 1\n'
        '[[strategies]]\nstrategy = "upweight"\nfactor = [2, 5]\n'
        '[[strategies]]\nstrategy = "undersample"\n[[strategies]]\nstrategy = "oversample"\n'
    )
    unready = run("figures", "mine.toml", "--figure", "8")
    assert unready.exit_code == 1
    assert "imbpipe compare" in unready.stderr
    first = run("compare", "mine.toml")
    assert first.exit_code == 0
    assert "upweight factor=" in first.stdout
    stamps = {path: path.stat().st_mtime_ns for path in Path("cache/runs").rglob("*.parquet")}
    assert run("compare", "mine.toml").stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in Path("cache/runs").rglob("*.parquet")} == stamps
    for number in ("3", "8", "11", "12"):
        assert run("figures", "mine.toml", "--figure", number).exit_code == 0
        assert {f"figure-{number}.{kind}" for kind in ("png", "svg", "pdf")} <= files_in(Path("figures"))


def test_encoders_that_cannot_be_had_are_named_and_passed_over_by_compare_but_never_by_extract(
    encoded, monkeypatch
):
    from imbpipe.encoders import weights
    from imbpipe.errors import WeightsError

    def nowhere(*_):
        raise WeightsError("no weights to be had", "Give --weights FILE")

    monkeypatch.setattr(weights, "obtain", nowhere)
    (encoded / "mine.toml").write_text(
        'datasets = ["photos"]\nencoders = [["resnet18", "mean-colour"]]\nseeds = 1\n[protocol]\nepochs = 1\n'
        '[[strategies]]\nstrategy = "baseline"\n'
    )
    result = run("compare", "mine.toml")
    assert result.exit_code == 0
    assert "Going on without resnet18: no weights to be had" in result.stderr
    assert "mean-colour" in result.stdout
    result = run("extract", "--dataset", "photos", "--encoder", "resnet18")
    assert result.exit_code == 1
    assert "Give --weights FILE" in result.stderr


def test_the_cache_is_listed_described_checked_exported_and_cleared(encoded):
    assert "complete" in run("cache", "list").stdout
    assert "dtype" in run("cache", "info").stdout
    assert (
        "42 rows verified; 42 images compared" in run("cache", "verify", "--images", "--recompute", 2).stdout
    )
    run("cache", "export", "--dataset", "photos", "--encoder", "mean-colour", "--format", "npy", "out/x")
    assert np.load("out/x.npy").shape == (42, 3)
    assert run("cache", "repair").exit_code == 0
    assert run("cache", "gc").exit_code == 0
    assert run("train", "--dataset", "photos", "--seeds", 1, "--epochs", 1).exit_code == 0
    assert run("cache", "gc", "--remove").exit_code == 2
    assert run("cache", "gc", "--remove", "--dataset", "photos").exit_code == 0
    assert not list(Path("cache").rglob("features.h5"))


def test_damaged_features_are_never_trained_on(encoded):
    [path] = Path("cache").rglob("features.h5")
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    if run("cache", "verify").exit_code == 0:
        content[len(content) // 2] ^= 255
        path.write_bytes(content)
        assert run("cache", "verify").exit_code == 1
    assert run("train", "--dataset", "photos").exit_code == 1


def test_a_terminated_extraction_exits_75_and_the_same_command_goes_on(here):
    rng = np.random.default_rng(0)
    for number in range(1500):
        paint(here / f"photos/red/x{number}.png", (200, 30, 30), rng)
    command = [sys.executable, "-m", "imbpipe", "extract", "--encoder", "mean-colour", "--dataset", "photos"]
    command += ["--batch-size", "8"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    while process.poll() is None and not list(Path("cache").rglob("*.jnl")):
        time.sleep(0.005)
    process.terminate()
    _, stderr = process.communicate()
    if process.returncode == 0:
        pytest.skip("the extraction ended before the signal came")
    assert process.returncode == 75, stderr
    assert "the same command goes on from here" in stderr
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    encoded_now = int(done.stdout.split(" images encoded")[0].rsplit(" ", 1)[-1])
    assert encoded_now <= 1542
    assert f"{1542 - encoded_now} already there" in done.stdout


def test_the_root_launcher_runs_a_checkout_as_the_installed_command_does():
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "cli.py", "--help"], cwd=root, capture_output=True, text=True, check=True
    )
    assert "imbpipe extract --encoder resnet18" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_bug():
    command = f"{sys.executable} -m imbpipe strategies | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout.partition(":")[0], done.stderr) == ("baseline", "")
