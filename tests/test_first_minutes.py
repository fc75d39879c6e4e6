"""Folders as people have them: what quickstart says of them before, and in its answer."""

import numpy as np
from click.testing import CliRunner
from PIL import Image

from imbpipe.cli import COMMANDS, main
from imbpipe.experiments.ranking import Difference, Ranked, Ranking
from imbpipe.experiments.sentences import summary

NOTHING = Difference(*[float("nan")] * 5, "cannot tell")
SOME = Difference(0.1, 0.05, 0.15, 0.01, 0.04, "better")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def paint(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        colour = tuple(np.random.default_rng([len(str(folder)), number]).integers(0, 255, 3).tolist())
        Image.new("RGB", (8, 8), colour).save(folder / f"{number}.png")


def test_folders_inside_class_folders_are_said_to_be_no_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("pets/animals/cats", "pets/animals/dogs", "pets/plants"):
        paint(tmp_path / place, 20)
    told = run("quickstart", "pets", "--encoder", "mean-colour", "--dry-run").stderr
    assert "classes are the folders right below pets" in told
    assert "count as theirs: animals/cats, animals/dogs" in told
    for part in ("train", "val"):
        for name in ("a", "b"):
            paint(tmp_path / "divided" / part / name, 20)
    assert "right below" not in run("quickstart", "divided", "--encoder", "mean-colour", "--dry-run").stderr


def test_that_there_are_too_few_images_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("a", 20), ("b", 7), ("c", 3)):
        paint(tmp_path / "tiny" / name, count)
    told = run("quickstart", "tiny", "--encoder", "mean-colour", "--dry-run").stderr
    assert "2 of 3 classes have fewer than 15 images: too few to tell much of them" in told


def test_a_group_without_a_measured_class_has_no_sentence():
    rows = (
        Ranked("oversample", "", 1, 0.6, 0.5, float("nan"), SOME, NOTHING, 2.0),
        Ranked("baseline", "", 1, 0.5, 0.5, float("nan"), None, None, 1.0),
    )
    first, *others = summary(Ranking("ap", rows, ()))
    assert first == (
        "oversample helps the low-frequency classes most: mean ap 0.600 in the place of 0.500, "
        "+0.100 [+0.050, +0.150]."
    )
    assert not [line for line in others if "remaining" in line]


def test_a_bug_is_told_once_and_without_a_log_file(capfd, monkeypatch):
    monkeypatch.setitem(COMMANDS, "encoders", "List the encoders.")
    monkeypatch.setattr("imbpipe.cli.Commands.get_command", lambda *_: 1 / 0)
    result = CliRunner().invoke(main, ["encoders"])
    assert isinstance(result.exception, ZeroDivisionError)
    assert "This is a bug" not in result.output + "".join(capfd.readouterr())


def test_the_browser_is_asked_for_the_page_or_its_absence_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        paint(tmp_path / "photos" / name, 20)
    for screen in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(screen, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    asked = []
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or True)
    command = ("quickstart", "photos", "--encoder", "mean-colour", "--seeds", 1, "--splits", 2, "--open")
    assert "There is no browser to show it in: copy quickstart.html" in run(*command).stderr
    monkeypatch.setenv("BROWSER", "echo")
    assert "There is no browser" not in run(*command).stderr
    assert asked == [(tmp_path / "quickstart.html").as_uri()]


def test_without_a_name_the_experiment_that_is_there_is_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "for example experiments/paper.toml" in run("report").stderr
    for name in ("pyproject.toml", "quickstart.toml"):
        (tmp_path / name).write_text("")
    assert "for example quickstart.toml" in run("report").stderr
