"""The page of a thousand heads x 17 classes: it works, and a control redraws what it should and no more."""

import os
import time

import pytest
from drawn_study import SETTINGS, drawn_runs
from opened_page import opened
from PIL import Image

from imbpipe.datasets.drawing.label_sets import CLASS_NAMES, label_table
from imbpipe.experiments.results import ResultStore
from imbpipe.report.page import report_page
from imbpipe.report.study import Study

IMAGES = 400
CHARTS = ("classes", "tradeoff", "curves", "distribution", "together", "map")
REDRAWN = {
    "metric": {"classes", "tradeoff", "ranking", "status"},
    "mode": {"classes", "tradeoff", "status"},
    "group": {"classes", "distribution", "together", "status"},
    "sort": {"classes", "distribution", "together"},
    "class": {"curves", "map", "images", "status"},
    "by": {"map"},
    "study": {"ranking", "classes", "tradeoff", "curves", "distribution", "images", "status"},
}
"""Control -> what must look otherwise when its last value is chosen."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The page of fifty settings by one encoder and three by another; a run a split stands for its seeds."""
    folder = tmp_path_factory.mktemp("large")
    images = [folder / f"{number}.jpg" for number in range(IMAGES)]
    Image.effect_noise((16, 16), 90).convert("RGB").save(images[0])
    for other in images[1:]:
        os.link(images[0], other)
    labels, store = label_table(IMAGES, 0), ResultStore(folder / "cache")
    pools = [
        drawn_runs(labels, images, CLASS_NAMES, store, settings=some, splits=2, seeds=1, encoder=name)
        for some, name in ((SETTINGS, "noise"), (SETTINGS[:20:8], "another"))
    ]
    studies = [Study.of(pool, store, metric="ap", margin=0.02) for pool in pools]
    target = folder / "page.html"
    target.write_text(report_page(studies, title="Large", command="imbpipe report"), encoding="utf-8")
    assert len(SETTINGS) * 20 == 1000
    assert target.stat().st_size < 5e6
    return target


@pytest.fixture
def page(browser, path):
    with opened(browser, path) as shown:
        yield shown


def look(page):
    """Part of the page -> what it shows."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    parts = {name: f"#{name} svg" for name in CHARTS} | {n: f"#{n}" for n in ("ranking", "images", "status")}
    return {name: page.locator(place).inner_html() for name, place in parts.items()}


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("control", REDRAWN)
def test_a_control_changes_the_charts_that_it_is_about_and_no_other(page, control):
    before = look(page)
    values = page.locator(f"#{control} option").evaluate_all("all => all.map((one) => one.value)")
    page.select_option(f"#{control}", values[-1])
    deadline = time.monotonic() + 20
    while changed(before, look(page)) != REDRAWN[control] and time.monotonic() < deadline:
        pass
    page.wait_for_timeout(200)  # what should not change has time to
    assert changed(before, look(page)) == REDRAWN[control]
    for value in values[-2::-1]:
        page.select_option(f"#{control}", value)
    assert page.heard == [page.url]


def test_six_of_the_strategies_can_be_chosen_and_all_left_out(page):
    page.locator("#settings summary").click()
    boxes = page.locator("#boxes input")
    assert boxes.count() == 49
    assert page.locator("#boxes input:checked").count() == 6
    assert page.locator("#boxes input:disabled").count() == 43
    page.click("#none")
    assert page.locator("#boxes input:checked").count() == 0
    boxes.nth(48).check()
    assert "inverse-frequency" in page.locator("#classes svg").text_content()
    page.click("#best")
    assert "6 of 49" in page.locator("#settings summary").text_content()
    assert page.heard == [page.url]


def test_every_chart_can_be_read_as_a_table(page):
    for name in CHARTS:
        page.locator(f"details[data-of={name}] summary").click()
        page.locator(f"details[data-of={name}] tbody tr").first.wait_for()
    assert page.locator("details[data-of=classes] tbody tr").count() == 17 * 6
    first = page.locator("details[data-of=curves] tr").nth(1).locator("th, td").all_text_contents()
    assert first[0] == "baseline"
    assert 0 <= float(first[1]) <= 1


def test_pointing_at_an_image_on_the_map_shows_it_with_its_labels(page):
    page.locator("#map svg .role-mark path").first.hover(force=True)
    tip = page.locator("#vg-tooltip-element")
    tip.locator("img").wait_for()
    assert "image" in tip.text_content()
    page.mouse.move(0, 0)


def test_a_dark_screen_prints_black_on_white_with_everything_in_it(browser, path):
    with opened(browser, path, color_scheme="dark") as page:
        ink = "getComputedStyle(document.querySelector('#classes svg text')).fill"
        assert page.evaluate(ink) == "rgb(236, 236, 236)"
        page.emulate_media(media="print")
        assert page.evaluate(ink) == "rgb(27, 27, 27)"
        assert not page.locator("#panel").is_visible()
        assert page.locator("#status").is_visible()
        table = page.locator("#ranking").bounding_box()["height"]
        assert page.locator(".tall").bounding_box()["height"] >= table


def test_a_telephone_shows_the_page_without_scrolling_sideways(browser, path):
    with opened(browser, path, viewport={"width": 375, "height": 667}) as page:
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert page.evaluate("document.getElementById('panel').open") is False
        for name in CHARTS:
            box = page.locator(f"#{name} svg").bounding_box()
            assert box["x"] + box["width"] <= 375, name
