"""Figures read label files as their experiment says."""

import json

from click.testing import CliRunner
from PIL import Image

from imbpipe.cli import main


def test_an_experiment_s_words_on_reading_labels_hold_for_its_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["where,tags"]
    for number in range(12):
        Image.new("RGB", (8, 8), (20 * number, 90, 90)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{'a|b' if number % 3 else 'a'}")
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "gone.png,b", ""]))
    experiment = (
        'datasets = ["labels.csv"]\nencoders = ["mean-colour"]\n[[strategies]]\nstrategy = "oversample"\n'
    )
    reading = '[reading]\nimage_column = "where"\nallow_missing = true\n'
    for name, text in (("silent.toml", experiment), ("told.toml", experiment + reading)):
        (tmp_path / name).write_text(text)

    def figures(name):
        return CliRunner().invoke(main, ["figures", name, "--figure", "1", "--json"], catch_exceptions=False)

    refused = figures("silent.toml")
    assert (refused.exit_code, "--image-column" in refused.stderr) == (1, True)
    drawn = figures("told.toml")
    assert drawn.exit_code == 0, drawn.stderr
    assert len(json.loads(drawn.stdout)[0]["files"]) == 3
