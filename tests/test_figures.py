import itertools
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import ImageError, ResultsError, UnknownNameError
from imbpipe.experiments.experiment import read_experiment
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.figures.draw import draw, save, settle
from imbpipe.figures.figure import FIGURES, FigureInputs, Resampled, names_for, needs_of
from imbpipe.figures.page import style
from imbpipe.figures.text import encoder_title, shorten
from imbpipe.types import Task

PLANET = {
    "primary": 375, "clear": 284, "agriculture": 123, "road": 81, "water": 76, "partly_cloudy": 73,
    "cultivation": 45, "habitation": 37, "haze": 27, "cloudy": 21, "bare_ground": 12, "selective_logging": 11,
    "artisinal_mine": 10, "blooming": 9, "slash_burn": 8, "conventional_mine": 7, "blow_down": 5,
}  # fmt: skip
LOW = ["artisinal_mine", "blooming", "slash_burn", "conventional_mine", "blow_down"]
SCENES = {
    "street": 224,
    "bedroom": 153,
    "living_room": 77,
    "corridor": 14,
    "waiting_room": 11,
    "art_studio": 9,
}
DINO = "timm:vit_small_patch14_dinov2@224"
UPWEIGHTED = [Setting.of("upweight", factor=factor) for factor in (1, 1.5, 2, 2.5, 3, 5, 10)]
RESAMPLED = [Setting.of("undersample"), Setting.of("oversample")]
ALL = [BASELINE, *UPWEIGHTED, *RESAMPLED]
ODD = {
    "blow_down": "$x_1$ <script>alert(1)</script>",
    "primary": "a name that goes on and on and on, far beyond the width of any axis on a page",
    "water": "вода",
    "road": "road\nof two lines",
    "haze": "街道",
}


def make_dataset(name: str, counts: dict[str, int], task: Task) -> Dataset:
    """Single-label: the classes one after the other. Multi-label: each class on images drawn from 400."""
    rng = np.random.default_rng(0)
    if task == "single-label":
        labels = np.repeat(np.eye(len(counts), dtype=bool), list(counts.values()), axis=0)
    else:
        labels = np.zeros((400, len(counts)), dtype=bool)
        for column, count in enumerate(counts.values()):
            labels[rng.choice(400, count, replace=False), column] = True
    ids = tuple(map(str, range(len(labels))))
    return Dataset(name, ids, tuple(map(Path, ids)), labels, tuple(counts), task)


def make_results(
    dataset: Dataset,
    encoders: Sequence[str],
    settings: Sequence[Setting] = ALL,
    seeds: Sequence[int] = (0, 1, 2),
    weights: str = "pretrained",
) -> pd.DataFrame:
    """A row a (run, class), the metrics drawn at random; 60 % of the images are training images."""
    rng = np.random.default_rng(0)
    counts = dataset.labels.sum(axis=0)
    train = np.round(counts * 0.6).astype(int)
    tables = [
        pd.DataFrame(
            {
                "dataset": dataset.name,
                "encoder": encoder,
                "weights": weights,
                "strategy": setting.strategy,
                "setting": setting.label,
                "parameters": setting.parameters,
                "seed": seed,
                "split": "stratified",
                "class_name": dataset.class_names,
                "count_train": train,
                "low_frequency": train <= np.percentile(train, 25),
                "ap": rng.uniform(0.2, 0.9, len(train)),
                "predicted_negative_rate": rng.uniform(0.95, 0.99, len(train)),
            }
        )
        for encoder, setting, seed in itertools.product(encoders, settings, seeds)
    ]
    return pd.concat(tables, ignore_index=True)


def rename(dataset: Dataset, new: dict[str, str]) -> Dataset:
    return replace(dataset, class_names=tuple(new.get(name, name) for name in dataset.class_names))


def make_inputs(multi: Dataset, single: Dataset, **changes: object) -> FigureInputs:
    encoders = (DINO, "resnet18")
    results = pd.concat([make_results(multi, encoders), make_results(single, encoders[:1])])
    labels = multi.labels[:200]
    drawn = Resampled(labels, np.arange(50)), Resampled(labels, np.tile(np.arange(200), 3), "threshold=300")
    return replace(FigureInputs(multi, single, *drawn, results, "ap", encoders), **changes)


@pytest.fixture(scope="session")
def multi(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return _with_images(make_dataset("planet", PLANET, "multi-label"), tmp_path_factory.mktemp("multi"))


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return _with_images(
        make_dataset("sample-scenes", SCENES, "single-label"), tmp_path_factory.mktemp("single")
    )


def _with_images(dataset: Dataset, folder: Path) -> Dataset:
    path = folder / "green.jpg"
    Image.new("RGB", (40, 30), "green").save(path)
    return replace(dataset, images=(path,) * len(dataset))


@pytest.fixture(scope="session")
def inputs(multi: Dataset, single: Dataset) -> FigureInputs:
    return make_inputs(multi, single)


@pytest.fixture(scope="session")
def figures(inputs: FigureInputs) -> dict[str, Figure]:
    return {name: make(name, inputs) for name in names_for([])}


def make(name: str, inputs: FigureInputs) -> Figure:
    """Drawn, with everything in its final place."""
    figure = FIGURES[name](inputs)
    settle(figure)
    return figure


def texts(figure: Figure) -> list[Text]:
    """Every text that a reader sees: those that are drawn and not empty."""
    drawn: list[Text] = []

    def note(self: Text, renderer: object) -> None:
        if self.get_visible() and self.get_text().strip():
            drawn.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", note)
        figure.draw_without_rendering()
    return drawn


def words(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text().split()) for text in texts(figure))


def facets(figure: Figure) -> list[Axes]:
    return [axes for part in figure.subfigs for axes in part.axes]


def panels(figure: Figure) -> list[list[Axes]]:
    """The axes of each panel."""
    return [part.axes for part in figure.subfigs if part.axes]


def class_names(axes: Axes) -> list[str]:
    return [label.get_text().partition("(n=")[0].strip() for label in axes.get_xticklabels()]


def points(container: ErrorbarContainer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, and the lower and upper ends of the bars."""
    line, _, (bars,) = container
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    return np.asarray(line.get_ydata()), ends[:, 0], ends[:, 1]


def corners(text: Text) -> np.ndarray:
    """(4, 2): the box around a text, turned as the text is, in pixels."""
    box = text.get_window_extent()
    angle = text.get_rotation()
    text.set_rotation(0)
    flat = text.get_window_extent()
    text.set_rotation(angle)
    a = np.deg2rad(angle)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    half = np.array([flat.width, flat.height]) / 2 - 0.5
    middle = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    return middle + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T


def overlap(one: np.ndarray, other: np.ndarray) -> bool:
    """Two rectangles overlap where no side of either has them on different sides (separating axes)."""
    for a, b in ((c[i], c[i + 1]) for c in (one, other) for i in (0, 1)):
        mine, its = one @ (b - a), other @ (b - a)
        if mine.max() <= its.min() or its.max() <= mine.min():
            return False
    return True


def overlaps(figure: Figure) -> Iterator[tuple[str, str]]:
    seen = [(text.get_text(), corners(text)) for text in texts(figure)]
    for (one, box), (other, its_box) in itertools.combinations(seen, 2):
        if overlap(box, its_box):
            yield one, other


def off_the_page(figure: Figure) -> list[str]:
    width, height = figure.get_size_inches() * figure.dpi
    found = [(text.get_text(), corners(text)) for text in texts(figure)]
    return [
        text for text, box in found if box.min() < 0 or box[:, 0].max() > width or box[:, 1].max() > height
    ]


def test_all_figures_of_the_paper_are_there_in_order_and_say_what_they_show():
    assert names_for([]) == [str(number) for number in range(1, 13)]
    assert all(len(FIGURES.summary(name)) > 40 for name in names_for([]))


def test_figure_1_shows_the_papers_counts_of_planet_most_frequent_first(real_root: Path):
    planet = load_dataset("planet", root=real_root, options=ReadOptions(images_needed=False))
    [axes] = facets(make("1", FigureInputs(multi=planet)))
    [bars] = [c for c in axes.containers if isinstance(c, BarContainer)]
    shown = dict(zip([label.get_text() for label in axes.get_yticklabels()], bars.datavalues, strict=True))
    assert list(shown.items()) == [
        ("primary", 37513), ("clear", 28431), ("agriculture", 12315), ("road", 8071), ("water", 7411),
        ("partly_cloudy", 7261), ("cultivation", 4477), ("habitation", 3660), ("haze", 2697),
        ("cloudy", 2089), ("bare_ground", 862), ("selective_logging", 340), ("artisinal_mine", 339),
        ("blooming", 332), ("slash_burn", 209), ("conventional_mine", 100), ("blow_down", 98),
    ]  # fmt: skip
    hatched = [name for name, bar in zip(shown, bars, strict=True) if bar.get_hatch()]
    assert hatched == LOW
    top, bottom = bars[0].get_y(), bars[-1].get_y()
    assert axes.transData.transform((0, top))[1] > axes.transData.transform((0, bottom))[1]


def test_figure_3_shows_the_papers_counts_of_ade20k(real_root: Path):
    ade = load_dataset("ade20k", root=real_root, options=ReadOptions(images_needed=False))
    [axes] = facets(make("3", FigureInputs(single=ade)))
    [bars] = [c for c in axes.containers if isinstance(c, BarContainer)]
    assert bars.datavalues.tolist() == [
        2241, 1528, 767, 738, 728, 454, 351, 325, 251, 184, 176, 145, 143, 137, 118, 109, 106, 105, 105, 98,
    ]  # fmt: skip
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:3] == ["street", "bedroom", "living_room"]
    assert labels[-1] == "art_studio"


def test_figure_5_counts_an_image_as_often_as_it_is_drawn():
    dataset = make_dataset("planet", {"common": 6, "rare": 2}, "multi-label")
    labels = np.array([[1, 0], [1, 1], [0, 1]], dtype=bool)
    once, often = (
        Resampled(labels, np.array([1])),
        Resampled(labels, np.array([0, 1, 2, 2, 2]), "threshold=4"),
    )
    figure = make("5", FigureInputs(multi=dataset, undersampled=once, oversampled=often))
    (under,), (over,) = panels(figure)
    assert [bar.get_width() for bar in under.patches] == [1, 1]
    assert [bar.get_width() for bar in over.patches] == [2, 4]
    assert "4 (was 2)" in words(figure)
    assert "b after oversampling (threshold=4): 5 rows an epoch, from 3 training images" in words(figure)


def test_figure_5_with_one_plan_says_which_panel_is_missing(inputs: FigureInputs):
    figure = make("5", replace(inputs, oversampled=None))
    assert len(panels(figure)) == 1
    assert "No panel for oversampling" in words(figure)


def test_the_schematic_calls_itself_one_and_keeps_every_image_when_oversampling(figures: dict[str, Figure]):
    shown = words(figures["2"])
    assert "schematic, not data" in shown
    assert shown.count("threshold") >= 2
    patches = facets(figures["2"])[0].patches
    drawn_again = [patch for patch in patches if patch.get_hatch()]
    left_out = [patch for patch in patches if patch.get_linestyle() in (":", "dotted")]
    assert (len(drawn_again), len(left_out)) == (13, 11)


def test_figure_4_shows_images_of_both_sets_with_all_of_their_labels(
    figures: dict[str, Figure], multi: Dataset
):
    first, second = panels(figures["4"])
    assert (len(first), len(second)) == (8, len(SCENES))
    assert [axes.get_xlabel() for axes in second] == list(SCENES)
    carried = [", ".join(itertools.compress(multi.class_names, row)) for row in multi.labels]
    assert all(" ".join(axes.get_xlabel().split()) in carried for axes in first)
    assert all(axes.images[0].get_array().shape == (256, 256, 3) for axes in first + second)


def test_an_unreadable_image_gives_way_to_the_next_of_its_class(single: Dataset, tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    broken = replace(single, images=(tmp_path / "broken.jpg", *single.images[1:]))
    assert len(facets(make("4", FigureInputs(single=broken)))) == len(SCENES)


def test_a_set_without_its_images_is_an_error_that_names_a_path(multi: Dataset, tmp_path: Path):
    gone = replace(multi, images=tuple(tmp_path / f"{id_}.jpg" for id_ in multi.ids))
    with pytest.raises(ImageError, match=r"\d+\.jpg: no such file\. Say with --root"):
        make("4", FigureInputs(multi=gone))


@pytest.mark.parametrize(("name", "encoders", "low"), [("6", 2, True), ("7", 2, False)])
def test_up_weighting_shows_each_class_of_its_group_most_frequent_first_once_an_encoder(
    figures: dict[str, Figure], name: str, encoders: int, low: bool
):
    expected = [f"{c} (n={round(n * 0.6)})" for c, n in PLANET.items() if (c in LOW) == low]
    shown = [[" ".join(axes.get_title().split()) for axes in panel] for panel in panels(figures[name])]
    assert shown == [expected] * encoders
    assert [label.get_text() for label in facets(figures[name])[0].get_xticklabels()] == [
        "1", "1.5", "2", "2.5", "3", "5", "10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"), [("8", ["waiting_room", "art_studio"]), ("11", list(SCENES)[:4])]
)
def test_up_weighting_on_the_single_label_set_shows_the_first_encoder(
    figures: dict[str, Figure], name: str, expected: list[str]
):
    [panel] = panels(figures[name])
    assert [axes.get_title().split()[0] for axes in panel] == expected
    assert "DINOv2 ViT-S/14 (stands in for CLIP)" in words(figures[name])


def test_points_are_means_and_bars_t_intervals_over_seeds(figures: dict[str, Figure], inputs: FigureInputs):
    results = inputs.results
    assert results is not None
    axes = panels(figures["6"])[1][4]
    [container] = axes.containers
    mean, low, high = points(container)
    for place, setting in enumerate(UPWEIGHTED):
        mask = (results.encoder == "resnet18") & (results.parameters == setting.parameters)
        values = results[mask & (results.strategy == "upweight") & (results.class_name == "blow_down")].ap
        ends = scipy.stats.t.interval(0.95, 2, loc=values.mean(), scale=scipy.stats.sem(values))
        np.testing.assert_allclose([mean[place], low[place], high[place]], [values.mean(), *ends])
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0].get_ydata(), mean[0])


def test_the_baseline_stands_for_factor_1_where_that_was_not_trained(inputs: FigureInputs):
    results = inputs.results
    assert results is not None
    without = results[results.parameters != UPWEIGHTED[0].parameters]
    axes = facets(make("6", replace(inputs, results=without)))[0]
    baseline = results[(results.strategy == "baseline") & (results.encoder == DINO)]
    expected = baseline[baseline.class_name == "artisinal_mine"].ap.mean()
    assert axes.containers[0][0].get_ydata()[0] == pytest.approx(expected)


@pytest.mark.parametrize(("name", "low"), [("9", True), ("10", False)])
def test_resampling_puts_rare_classes_in_descending_and_the_others_in_ascending_order(
    figures: dict[str, Figure], inputs: FigureInputs, name: str, low: bool
):
    order = LOW if low else [c for c in reversed(PLANET) if c not in LOW]
    (first,), (second,) = panels(figures[name])
    assert class_names(first) == class_names(second) == order
    results = inputs.results
    assert results is not None
    for axes, encoder in ((first, DINO), (second, "resnet18")):
        for container, strategy in zip(
            axes.containers, ("baseline", "undersample", "oversample"), strict=True
        ):
            runs = results[
                (results.encoder == encoder) & (results.strategy == strategy) & (results.dataset == "planet")
            ]
            expected = runs.groupby("class_name").ap.mean()[order]
            np.testing.assert_allclose(points(container)[0], expected)
    assert first.get_ylim() == second.get_ylim()


def test_figure_12_has_a_panel_for_rare_and_one_for_other_classes(figures: dict[str, Figure]):
    (low,), (remaining,) = panels(figures["12"])
    assert class_names(low) == ["waiting_room", "art_studio"]
    assert class_names(remaining) == ["corridor", "living_room", "bedroom", "street"]


def test_the_papers_own_thresholds_are_shown_where_there_are_others_too(inputs: FigureInputs):
    assert inputs.multi is not None
    papers = Setting.of("undersample", threshold=200), Setting.of("oversample", threshold=30_000)
    with_papers = pd.concat([inputs.results, make_results(inputs.multi, inputs.encoders, papers)])
    shown = words(make("9", replace(inputs, results=with_papers)))
    assert "undersampling (threshold=200) oversampling (threshold=30000)" in shown
    others = make_results(
        inputs.multi, inputs.encoders, [BASELINE, *papers, Setting.of("undersample", threshold=9)]
    )
    shown = words(make("9", replace(inputs, results=others[others.parameters != papers[0].parameters])))
    assert "undersampling (threshold=9)" in shown


def test_series_can_be_told_apart_without_colour(figures: dict[str, Figure]):
    containers = facets(figures["9"])[0].containers
    markers = {container[0].get_marker() for container in containers}
    colours = {to_hex(container[0].get_color()) for container in containers}
    assert len(markers) == len(colours) == 3


def test_more_settings_than_can_be_told_apart_are_refused(inputs: FigureInputs):
    assert inputs.multi is not None
    many = [BASELINE, *(Setting.of("undersample", threshold=threshold) for threshold in range(1, 8))]
    with pytest.raises(
        ResultsError, match=r"8 settings in one figure, which can tell 7 apart: baseline; under"
    ):
        make("9", replace(inputs, results=make_results(inputs.multi, inputs.encoders, many)))


def test_both_variants_of_up_weighting_are_drawn_and_named(inputs: FigureInputs):
    assert inputs.multi is not None
    variants = [BASELINE, *(Setting.of("upweight", factor=3, per=per) for per in ("image", "label"))]
    figure = make("6", replace(inputs, results=make_results(inputs.multi, inputs.encoders, variants)))
    assert len(facets(figure)[0].containers) == 2
    assert "up-weighted, per=label" in words(figure)


@pytest.mark.parametrize("name", ["6", "9"])
def test_the_footer_says_what_was_measured_on_what_and_how_often(figures: dict[str, Figure], name: str):
    shown = words(figures[name])
    for part in (
        "Data: planet, 400 images, 17 labels (multi-label)",
        "DINOv2 ViT-S/14 (stands in for CLIP), pretrained weights; ResNet-18, pretrained weights",
        "3 seeds (0–2)",
        "test part of the stratified split",
        "Average precision: the mean",
    ):
        assert part in shown


def test_drawn_sample_data_is_called_so(figures: dict[str, Figure]):
    for name in ("3", "4", "8", "12"):
        assert "sample-scenes (drawn sample data, not photographs)" in words(figures[name])
    assert "drawn sample data" not in words(figures["1"])


def test_chance_is_the_share_of_images_that_carry_the_class(figures: dict[str, Figure]):
    [dotted] = [line for line in facets(figures["7"])[0].lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(dotted.get_ydata(), PLANET["primary"] / 400)


def test_random_weights_are_shouted_in_the_panel_and_the_footer(inputs: FigureInputs):
    assert inputs.multi is not None
    random = make_results(inputs.multi, ["clip"], weights="random")
    shown = words(make("9", replace(inputs, results=random, encoders=("clip",))))
    assert shown.count("RANDOM WEIGHTS") == 2


def test_one_seed_has_no_interval_and_the_footer_says_so(inputs: FigureInputs):
    results = inputs.results
    assert results is not None
    figure = make("6", replace(inputs, results=results[results.seed == 1]))
    mean, low, high = points(facets(figure)[0].containers[0])
    np.testing.assert_array_equal(low, high)
    assert np.isfinite(mean).all()
    shown = words(figure)
    assert "One run a point (seed 1), hence no interval" in shown
    assert "95 %" not in shown


def test_a_class_that_the_test_part_lacks_keeps_its_place_and_says_why(inputs: FigureInputs):
    results = inputs.results
    assert results is not None
    undefined = results.assign(ap=results.ap.where(results.class_name != "blow_down"))
    for name in ("6", "9"):
        figure = make(name, replace(inputs, results=undefined))
        assert "undefined on the test part" in words(figure)
    assert class_names(facets(figure)[0]) == LOW


def test_the_papers_accuracy_is_named_what_it_is(inputs: FigureInputs):
    for name in ("6", "9"):
        figure = make(name, replace(inputs, metric="predicted_negative_rate"))
        assert "share of images predicted negative (the paper's 'accuracy')" in words(figure)
        assert list(overlaps(figure)) == []


def test_an_encoder_without_results_is_left_out_with_a_note(inputs: FigureInputs):
    for name in ("6", "10"):
        figure = make(name, replace(inputs, encoders=("clip", "resnet18")))
        assert len(panels(figure)) == 1
        assert "No panel for CLIP ViT-B/32: it has no results." in words(figure)


def test_what_cannot_be_drawn_comes_back_with_its_reason(inputs: FigureInputs, tmp_path: Path):
    lacking = replace(inputs, single=None, results=None)
    drawn = dict(draw(["2", "3", "6"], lacking, tmp_path))
    assert [path.name for path in drawn["2"]] == ["figure-2.png", "figure-2.svg", "figure-2.pdf"]
    assert drawn["3"] == "no single-label data set was given. Name one with --dataset"
    assert drawn["6"] == "no results were given. Run: imbpipe compare experiments/paper.toml"
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(UnknownNameError, match="no figure named '13'"):
        draw(["13"], inputs, tmp_path)


def test_a_folder_that_cannot_be_written_is_a_clear_error(figures: dict[str, Figure], tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="Name another folder"):
        draw(["2"], FigureInputs(), tmp_path / "file")


def _refused(inputs: FigureInputs, results: pd.DataFrame, **changes: object) -> str:
    with pytest.raises(ResultsError) as caught:
        make("6", replace(inputs, results=results, **changes))
    return str(caught.value)


def test_results_that_do_not_belong_together_are_refused(inputs: FigureInputs):
    results = inputs.results
    assert results is not None
    mixed = pd.concat([results, results.assign(weights="random", seed=9)])
    assert "pretrained and random weights are mixed" in _refused(inputs, mixed)
    assert "hold a run twice" in _refused(inputs, pd.concat([results, results]))
    assert "no column 'split'" in _refused(inputs, results.drop(columns="split"))
    assert "no column 'map'" in _refused(inputs, results, metric="map")
    assert "no results of upweight on 'planet'" in _refused(inputs, results[results.strategy == "baseline"])


@pytest.mark.parametrize("name", [str(number) for number in range(1, 13)])
def test_no_text_overlaps_another_or_leaves_the_page(figures: dict[str, Figure], name: str):
    assert list(overlaps(figures[name])) == []
    assert off_the_page(figures[name]) == []


@pytest.mark.parametrize("name", ["1", "6", "9", "10"])
def test_odd_class_names_are_shown_as_they_are_and_fit(multi: Dataset, name: str):
    odd = rename(multi, ODD)
    figure = make(name, FigureInputs(multi=odd, results=make_results(odd, ["clip"])))
    assert list(overlaps(figure)) == []
    assert off_the_page(figure) == []
    assert not any(text.get_parse_math() for text in texts(figure) if "$" in text.get_text())
    shown = words(figure)
    if name in ("6", "9"):
        assert "$x_1$" in shown
        assert "/script>" in shown
    else:
        assert "вода" in shown
        assert r"road\nof two lines" in shown
        assert "a name" in shown
        assert "街道" in shown or r"\u8857\u9053" in shown


def test_a_figure_with_nothing_but_its_names_changed_would_be_caught_overlapping():
    with style():
        figure = Figure(figsize=(3, 2))
        axes = figure.subfigures(1, 1).subplots()
        axes.set_xticks(range(6), ["a long class name"] * 6)
    assert list(overlaps(figure))
    assert off_the_page(figure)


@pytest.mark.parametrize("name", ["1", "9"])
def test_the_same_inputs_give_the_same_bytes_whatever_the_users_settings(
    inputs: FigureInputs, tmp_path: Path, name: str
):
    [(_, once)] = draw([name], inputs, tmp_path / "once")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": None}):
        [(_, again)] = draw([name], inputs, tmp_path / "again")
    for one, other in zip(once, again, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    [old, *_] = save(make("2", FigureInputs()), tmp_path, "figure-2")
    before = old.read_bytes()

    def fail(self: Figure, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(ResultsError, match="No space left on device"):
        save(make("2", FigureInputs()), tmp_path, "figure-2")
    assert old.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "figure-2.pdf",
        "figure-2.png",
        "figure-2.svg",
    ]


def test_the_experiment_of_the_paper_trains_every_run_that_a_figure_needs():
    experiment = read_experiment(Path(__file__).parents[1] / "experiments/paper.toml")
    for name in names_for([]):
        needs = needs_of(name)
        for role in needs.roles:
            trained = experiment.settings("planet" if role == "multi-label" else "ade20k")
            assert set(needs.runs) <= set(trained)
        assert needs.encoders <= len(experiment.encoders)


def test_encoders_are_called_what_readers_call_them():
    assert encoder_title("clip", "pretrained") == "CLIP ViT-B/32"
    assert encoder_title("resnet18", "file") == "ResNet-18"
    assert encoder_title(DINO, "pretrained") == "DINOv2 ViT-S/14 (stands in for CLIP)"
    assert encoder_title("clip", "random") == "CLIP ViT-B/32, RANDOM WEIGHTS"
    assert encoder_title("open_clip:ViT-L-14/x", "pretrained") == "open_clip:ViT-L-14/x"


def test_a_long_name_keeps_both_ends_and_its_length():
    assert shorten("blow_down") == "blow_down"
    short = shorten("start" + "x" * 1000 + "end", 20)
    assert (len(short), short[:5], short[-3:]) == (19, "start", "end")


def test_the_program_starts_without_matplotlib():
    code = "import imbpipe.cli, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
