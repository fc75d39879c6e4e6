"""The page, in a real browser: it shows what it should, answers at once, and asks the network for nothing."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from opened_page import opened
from PIL import Image

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.evaluation.effects import effect
from imbpipe.experiments.claims.paper import CLAIMS
from imbpipe.experiments.claims.run import Placed
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import Material
from imbpipe.experiments.pool import Pool
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.trials import Trials
from imbpipe.heads.run import HeadConfig, Protocol
from imbpipe.report.curves import POINTS, interpolated
from imbpipe.report.embedding import chosen
from imbpipe.report.numbers import metric_tables
from imbpipe.report.page import report_page
from imbpipe.report.study import Study
from imbpipe.types import FeatureSet

CLASSES = ("<script>alert(1)</script>", "雪山", "$x_1$ & 'it' \"is\"", "ordinary")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    n = 160
    labels = rng.random((n, 4)) < [0.15, 0.3, 0.4, 0.7]
    features = (labels @ rng.normal(size=(4, 6)) + rng.normal(size=(n, 6))).astype(np.float32)
    ids = tuple(f"<b>{i}</b>.jpg" for i in range(n))
    paths = tuple(folder / f"{i}.jpg" for i in range(n))
    for i, path in enumerate(paths[1:], 1):  # the first one cannot be read any more
        Image.new("RGB", (20, 20), (i, 90, 200 - i)).save(path)
    dataset = Dataset("tiny </script><b>", ids, paths, labels, CLASSES, "multi-label")
    source = FeatureSet(
        features, ids, labels, CLASSES, "multi-label", dataset.name, "eye", {"weights": "random"}, "d", {}
    )
    settings = (BASELINE, Setting.of("upweight", factor=5), Setting.of("undersample"))
    protocol = Protocol(HeadConfig(hidden=8), epochs=3)
    store = ResultStore(tmp_path_factory.mktemp("cache"))
    grids = [
        Grid(Material(features, dataset, source, ()), make_split(dataset, s), settings, (0, 1), protocol)
        for s in (0, 1)
    ]
    pool = Pool(tuple(grids))
    pool.train(store)
    return Study.of(pool, store, metric="ap", margin=0.02)


@pytest.fixture(scope="module")
def html(study):
    return report_page([study], title="Which one?", command="imbpipe report x.toml")


@pytest.fixture
def page(browser, html, tmp_path):
    """The opened page; see `opened`."""
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    with opened(browser, path) as shown:
        yield shown


def chart_text(page, name):
    return page.locator(f"#{name} svg").text_content()


def test_the_page_opens_without_an_error_or_a_request(page):
    assert page.heard == [page.url]
    for name in ("classes", "tradeoff", "curves", "distribution", "together", "map"):
        assert page.locator(f"#{name} svg").count() == 1, name


def test_class_names_are_shown_as_they_are(page):
    shown = chart_text(page, "classes")
    for name in CLASSES:
        assert name in shown
    page.select_option("#class", index=0)
    assert page.locator("#t-images").text_content() == f"The hardest images of {CLASSES[0]}"
    assert page.title() == "Which one?"
    assert "tiny </script><b>" in page.locator("header").text_content()


def test_every_control_changes_the_chart_and_makes_no_error(page):
    before = page.locator("#classes svg").inner_html()
    changes = {"metric": "2", "mode": "value", "sort": "name", "group": "rest"}
    for control, value in changes.items():
        page.select_option(f"#{control}", value)
        page.wait_for_function(f"document.querySelector('#classes svg').innerHTML !== {json.dumps(before)}")
        before = page.locator("#classes svg").inner_html()
    page.locator("#settings summary").click()
    page.locator("#boxes input").first.uncheck()
    page.wait_for_function(f"document.querySelector('#classes svg').innerHTML !== {json.dumps(before)}")
    curves = page.locator("#curves svg").inner_html()
    page.select_option("#class", index=3)
    page.wait_for_function(f"document.querySelector('#curves svg').innerHTML !== {json.dumps(curves)}")
    for value in ("error", "undersample", "class"):
        legend = chart_text(page, "map")
        page.select_option("#by", value)
        page.wait_for_function(f"document.querySelector('#map svg').textContent !== {json.dumps(legend)}")
    assert page.heard == [page.url]


def test_the_numbers_behind_a_chart_can_be_read_as_a_table(page, study):
    page.locator("details[data-of=classes] summary").click()
    rows = page.locator("details[data-of=classes] tbody tr")
    rows.last.wait_for()
    assert rows.count() == 2 * 4
    assert "ordinary" in rows.last.text_content()


def test_the_page_can_be_worked_by_keyboard(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the controls"
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert [name for name in reached if name] == ["study", "metric", "mode", "group", "sort", "class"]
    page.focus("#mode")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("!document.querySelector('#classes svg').textContent.includes('difference')")
    assert page.input_value("#mode") == "value"


def test_an_image_that_is_gone_is_left_out_and_the_others_are_there(page, html):
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])
    shown = data["studies"][0]["map"]
    assert all(
        (image is None) == (id_ == "<b>0</b>.jpg")
        for image, id_ in zip(shown["image"], shown["id"], strict=True)
    )
    assert page.locator("#images img").first.get_attribute("src").startswith("data:image/webp;base64,")


def test_random_weights_are_shouted_at_the_top(html):
    assert "RANDOM WEIGHTS" in html.split('id="controls"')[0]


def test_the_numbers_on_the_page_are_means_over_runs_paired_with_the_baseline(study):
    table = metric_tables(study)["ap"]["classes"]
    values = study.values("ap")
    wanted = (values[:, 1] - values[:, 0]).mean(axis=0)
    np.testing.assert_allclose(np.array(table["diff"], float).reshape(3, 4)[1], wanted, atol=1e-4)
    found = effect(study.trials.of(study.settings[1]), "ap", np.eye(4, dtype=bool))
    np.testing.assert_allclose(np.array(table["diff_low"], float).reshape(3, 4)[1], found.low, atol=1e-4)


def test_a_difference_on_the_page_leaves_out_0_only_where_the_ranking_s_interval_does(study):
    table = metric_tables(study)["ap"]["groups"]
    for row in study.ranking.rows:
        if row.on_low_frequency:
            place = [(s.strategy, s.label) for s in study.settings].index((row.strategy, row.setting))
            wanted = [row.on_low_frequency.low, row.on_low_frequency.high]
            shown = [table["diff_low"][2 * place], table["diff_high"][2 * place]]
            np.testing.assert_allclose(np.array(shown, float), wanted, atol=1e-4)


def test_a_curve_is_the_best_precision_at_a_recall_or_above():
    scores = np.array([0.9, 0.8, 0.7, 0.6])[None, :, None]
    labels = np.array([[True], [False], [True], [False]])
    curve = interpolated(scores, labels)[0, 0]
    assert len(curve) == POINTS
    np.testing.assert_allclose(curve[[0, POINTS // 2 - 1, POINTS // 2 + 1, -1]], [1, 1, 2 / 3, 2 / 3])


def test_the_map_shows_rare_classes_first_and_never_more_than_asked():
    labels = np.zeros((500, 2), bool)
    labels[:, 0] = True
    labels[:3, 1] = True
    places = chosen(labels, 40, np.random.default_rng(0))
    assert len(places) == 40
    assert {0, 1, 2} <= set(places)


def test_the_claims_stand_on_the_page_with_answer_and_interval(study):
    deciding = SimpleNamespace(estimate=-0.091, low=-0.147, high=-0.034, detectable=0.08)
    answer = SimpleNamespace(verdict="contradicted", deciding=deciding)
    placed = Placed(CLAIMS[0], "paper's text", "ap", "tiny <b>", "eye", "random", answer)
    unanswered = Placed(CLAIMS[1], "paper's text", "ap", "tiny", "eye", "random", None, "not here")
    told = report_page([study], title="Claims", command="x", claims=[placed, unanswered])
    table = told.partition('id="t-claims"')[2].partition("</table>")[0]
    cells = re.findall(r"<td>(.*?)</td>", table)
    assert cells[2:] == [
        "tiny &lt;b&gt;", "eye, RANDOM WEIGHTS", "contradicted", "−0.091", "[−0.147, −0.034]", "0.080"
    ]  # fmt: skip
    assert "t-claims" not in report_page([study], title="Claims", command="x", claims=[unanswered])


def test_images_that_could_not_be_read_and_the_margin_are_told_of(study):
    material = replace(study.grids[0].material, left_out=("<i>broken</i>.jpg", "empty.png"))
    grids = tuple(replace(grid, material=material) for grid in study.grids)
    told = report_page([replace(study, trials=Trials(Pool(grids), study.store))], title="t", command="x")
    made = told.partition('id="t-made"')[2]
    assert (
        "160 images, multi-label; 2 more could not be read, the first &lt;i&gt;broken&lt;/i&gt;.jpg" in made
    )
    assert "by ap; a difference below 0.02 is none" in made
    assert "<td>0–1</td>" not in made
    assert "<td>0, 1</td>" in made
