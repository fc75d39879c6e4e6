"""The package from Python: a DataFrame in, a table, a figure and a page out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imbpipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of three colours, one of them rare, in one folder."""
    folder = tmp_path_factory.mktemp("api")
    rng = np.random.default_rng(0)
    colours = {"red": (40, (190, 50, 50)), "green": (20, (50, 190, 50)), "b": (10, (90, 90, 90))}
    for name, (count, colour) in colours.items():
        for number in range(count):
            noise = np.array(colour) + rng.integers(-60, 60, 3)
            picture = np.broadcast_to(np.clip(noise, 0, 255).astype(np.uint8), (8, 8, 3))
            Image.fromarray(picture).save(folder / f"{name}{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def frame(folder):
    names = {"r": "red", "g": "green", "b": "<b>"}
    paths = sorted(folder.glob("*.png"))
    return pd.DataFrame({"path": paths, "label": [names[path.name[0]] for path in paths]})


def quick(frame, folder, **how):
    given = {
        "cache": folder / "cache",
        "strategies": ["oversample", {"strategy": "upweight", "factor": 5}],
        "seeds": 1,
        "splits": 2,
    }
    return imbpipe.compare(frame, encoder="mean-colour", progress=False, **{**given, **how})


@pytest.fixture(scope="module")
def found(frame, folder):
    return quick(frame, folder)


def test_a_frame_of_paths_and_labels_leads_to_a_table(found):
    table = found.table
    assert set(table["strategy"]) == {"baseline", "oversample", "upweight"}
    assert list(table["low_frequency"]) == sorted(table["low_frequency"], reverse=True)
    assert table.set_index("strategy").loc["upweight", "setting"] == "factor=5.0"
    assert set(found.results["class_name"]) == {"red", "green", "<b>"}
    assert len(found.results) == 3 * 2 * 3


def test_the_figure_shows_every_strategy_on_rare_and_on_remaining_classes(found, tmp_path):
    figure = found.figure()
    left, right = (axes for part in figure.subfigs for axes in part.axes)
    assert [axes.get_title(loc="left") for axes in (left, right)] == [
        "low-frequency classes",
        "remaining classes",
    ]
    assert {text.get_text() for text in left.get_yticklabels()} == {"oversample", "upweight factor=5.0"}
    figure.savefig(tmp_path / "figure.png")


def test_a_notebook_shows_sentences_and_table_with_names_as_they_are(found):
    shown = found._repr_html_()
    assert "against the baseline" in shown
    assert "oversample" in shown
    assert "frame (70 images) by mean-colour" in repr(found)
    assert "<b>" not in shown.replace("&lt;b&gt;", "")


def test_the_report_is_one_page(found, tmp_path):
    page = found.report(tmp_path / "answer.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_nothing_is_encoded_or_trained_twice(found, frame, folder):
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.parquet")}
    again = quick(frame, folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.parquet")} == stamps
    pd.testing.assert_frame_equal(again.table, found.table)


def test_features_come_in_the_order_of_the_frame(frame, folder):
    features = imbpipe.encode(frame, encoder="mean-colour", cache=folder / "cache", progress=False)
    assert list(features.ids) == [str(path) for path in frame["path"]]
    assert features.features.shape == (70, 3)


def test_lists_of_labels_and_paths_below_a_folder_are_understood(folder):
    frame = pd.DataFrame({"image": ["red00.png", "green01.png"], "tags": [["red", "round"], ("green",)]})
    features = imbpipe.encode(
        frame, encoder="mean-colour", cache=folder / "cache", name="two", folder=folder, progress=False
    )
    assert features.class_names == ("green", "red", "round")
    assert features.labels.tolist() == [[False, True, True], [True, False, False]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.assign(path=["none.png", *f["path"][1:]]), "row 0: 1 of 70 images are not there"),
        (lambda f: f.assign(path=[f["path"][1], *f["path"][1:]]), "labelled twice: .*row 0.* row 1"),
        (lambda f: f.rename(columns={"path": "where"}), "no column known to name the images"),
        (lambda f: f.assign(label="red"), "names one class only"),
        (lambda f: f.iloc[:0], "has no row"),
        (lambda f: 7, "data is a int"),
        (lambda f: "no-such-data", "no data set named 'no-such-data'"),
    ],
)
def test_a_frame_that_cannot_be_meant_is_refused_with_the_row(frame, folder, change, says):
    with pytest.raises(imbpipe.ImbpipeError, match=says):
        quick(change(frame), folder)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"strategies": ["oversampel"]}, "Did you mean 'oversample'"),
        ({"strategies": "oversample"}, "It is a list"),
        ({"metric": "app"}, "no metric named 'app'"),
        ({"colour": "red"}, "colour"),
        ({"seeds": 0}, "seeds is 0"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_encoded(frame, folder, how, says):
    with pytest.raises(imbpipe.ImbpipeError, match=says):
        quick(frame, folder, cache=folder / "untouched", **how)
    assert not Path(folder / "untouched").exists()
