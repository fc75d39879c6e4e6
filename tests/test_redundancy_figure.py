"""Score against size: what the redundancy figures draw, and when."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import ResultsError
from imbpipe.evaluation.intervals import t_interval
from imbpipe.experiments.experiment import read_experiment
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.figures.draw import settle
from imbpipe.figures.figure import FIGURES, FigureInputs, names_for

ALL = 600
SIZES = {0.1: 60, 0.5: 300}
EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def made_results(criteria: tuple[str, ...] = ("random", "herding")) -> pd.DataFrame:
    """Three seeds on three classes, the rarest without a positive in the test part; random values."""
    settings = [(BASELINE, ALL)]
    settings += [(Setting.of("subset", fraction=f, by=by), n) for f, n in SIZES.items() for by in criteria]
    settings += [(Setting.of("undersample", threshold=20), 45), (Setting.of("k-center", threshold=20), 43)]
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "dataset": "planet",
            "encoder": "resnet18",
            "weights": "pretrained",
            "strategy": setting.strategy,
            "setting": setting.label,
            "parameters": setting.parameters,
            "seed": seed,
            "split": "stratified",
            "class_name": name,
            "count_train": count,
            "low_frequency": count < 10,
            "rows": rows,
            "ap": np.nan if name == "never" else rng.uniform(0.2, 0.9),
        }
        for setting, rows in settings
        for seed in range(3)
        for name, count in (("often", 500), ("seldom", 8), ("never", 3))
    )


@pytest.fixture(scope="module")
def inputs() -> FigureInputs:
    labels = np.random.default_rng(0).random((1000, 3)) < 0.3
    ids = tuple(map(str, range(1000)))
    dataset = Dataset(
        "planet", ids, tuple(map(Path, ids)), labels, ("often", "seldom", "never"), "multi-label"
    )
    return FigureInputs(multi=dataset, results=made_results(), encoders=("clip", "resnet18"))


def make(inputs: FigureInputs) -> Figure:
    figure = FIGURES["redundancy"](inputs)
    settle(figure)
    return figure


def grid(figure: Figure) -> list[Axes]:
    """Low-frequency: a share of all, a number a class; remaining: the same."""
    [panel] = [part.axes for part in figure.subfigs if part.axes]
    return panel


def curves(axes: Axes) -> list[ErrorbarContainer]:
    return [container for container in axes.containers if isinstance(container, ErrorbarContainer)]


def test_every_point_is_the_mean_over_classes_and_runs_at_the_rows_that_were_kept(inputs: FigureInputs):
    share, per_class, *_ = grid(make(inputs))
    rows = inputs.results
    for curve, by in zip(curves(share), ("herding", "random"), strict=True):
        line, _, (bars,) = curve
        np.testing.assert_allclose(line.get_xdata(), list(SIZES.values()), rtol=0.05)
        for place, fraction in enumerate(SIZES):
            setting = Setting.of("subset", fraction=fraction, by=by)
            own = rows[(rows["parameters"] == setting.parameters) & (rows["class_name"] == "seldom")]
            expected = t_interval(own["ap"].to_numpy())
            assert line.get_ydata()[place] == pytest.approx(expected.mean)
            np.testing.assert_allclose(bars.get_segments()[place][:, 1], [expected.low, expected.high])
    assert [len(curve[0].get_xdata()) for curve in curves(per_class)] == [1, 1]


def test_the_baseline_is_a_level_across_each_of_the_axes(inputs: FigureInputs):
    rows = inputs.results
    for axes, name in zip(grid(make(inputs)), ("seldom", "seldom", "often", "often"), strict=True):
        own = rows[(rows["strategy"] == "baseline") & (rows["class_name"] == name)]["ap"].mean()
        levels = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"]
        assert any(np.allclose(level, own) and len(level) == 2 for level in levels)


def test_numbers_of_rows_are_written_out_and_a_class_without_a_value_is_named(inputs: FigureInputs):
    figure = make(inputs)
    ticks = [text.get_text() for text in grid(figure)[-1].get_xticklabels()]
    assert {"50", "100", "200", "500"} <= set(ticks)
    shown = " ".join(text.get_text() for part in figure.subfigs for text in part.texts).replace("\n", " ")
    assert "Undefined on the test part, so in no mean: never." in shown
    assert "out of 600 training images" in shown


def test_random_is_one_line_whether_of_all_images_or_of_a_class(inputs: FigureInputs):
    labels = [
        text.get_text() for part in make(inputs).subfigs for legend in part.legends for text in legend.texts
    ]
    assert labels == ["random", "herding", "k-center", "95 % interval", "all training images (baseline)"]


def test_results_that_do_not_say_what_was_kept_are_refused(inputs: FigureInputs):
    with pytest.raises(
        ResultsError, match=r"do not say how many rows .*Run: imbpipe compare experiments/redundancy"
    ):
        make(replace(inputs, results=inputs.results.drop(columns="rows")))


def test_without_runs_the_command_that_makes_them_is_named(inputs: FigureInputs):
    with pytest.raises(ResultsError, match=r"Run: imbpipe compare experiments/redundancy\.toml"):
        make(replace(inputs, results=None))


@pytest.mark.parametrize(("file", "drawn"), [("paper", False), ("paper-code", False), ("redundancy", True)])
def test_only_an_experiment_that_compares_subsets_has_these_figures(file: str, drawn: bool):
    entries = read_experiment(EXPERIMENTS / f"{file}.toml").entries
    found = names_for({entry.setting.strategy for entry in entries})
    assert found[:12] == [str(number) for number in range(1, 13)]
    assert found[12:] == (["redundancy", "redundancy-single-label"] if drawn else [])


def test_every_criterion_of_the_experiment_has_a_look_of_its_own(inputs: FigureInputs):
    entries = read_experiment(EXPERIMENTS / "redundancy.toml").entries
    criteria = {json.loads(entry.setting.parameters).get("by") for entry in entries} - {None}
    figure = make(replace(inputs, results=made_results(tuple(sorted(criteria)))))
    looks = {(curve[0].get_marker(), curve[0].get_color()) for curve in curves(grid(figure)[0])}
    assert len(looks) == len(criteria) == 9
