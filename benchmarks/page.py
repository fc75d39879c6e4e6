"""The page of 1,000 heads x 17 classes: seconds to make it, to open it, and from each control to the drawing.

    python benchmarks/page.py [--folder DIR] [--seeds 5] [--repeats 7]

Expected in Chromium: interactive in under 2 s, every control drawn in under 100 ms, under 5 MB.

Planet's label rows as the program carries them (40,478 chips), fifty settings on four splits with five
seeds each, and six more heads by another encoder, for the control that changes it. Nothing is trained:
heads drawn by tests/drawn_study.py are scored, measured and kept as trained ones are, which takes minutes
and is not timed (with --folder it is done once), and `report_page` reads them. Chips are drawn by the
program, 300 different ones. Timed in the browser: from the navigation to the first frame with all charts;
from each control's event to the frame after the last change that it makes, all tables open. Medians, kept
in results/page.json.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.datasets.drawing.amazon import draw_chip
from imbpipe.datasets.drawing.label_sets import CLASS_NAMES, planet_label_sets
from imbpipe.experiments.results import ResultStore
from imbpipe.report.page import report_page
from imbpipe.report.study import Study

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from drawn_study import SETTINGS, drawn_runs
from record import keep

CHIPS, SPLITS = 300, 4
CHROMIUM = Path("/usr/bin/chromium")


def planet(folder: Path) -> tuple[np.ndarray, list[Path]]:
    """Labels of every chip, and a file for each."""
    sets, counts = planet_label_sets()
    labels = np.random.default_rng(0).permutation(np.repeat(sets, counts, axis=0))
    paths = [folder / f"train_{number}.jpg" for number in range(len(labels))]
    if paths[-1].exists():
        return labels, paths
    folder.mkdir(parents=True)
    for number, path in enumerate(paths):
        if number < CHIPS:
            tags = [name for name, has in zip(CLASS_NAMES, labels[number], strict=True) if has]
            path.write_bytes(draw_chip(tags, 0, number))
        else:
            os.link(paths[number % CHIPS], path)
    return labels, paths


WATCH = """
window.readyAt = new Promise((done) => new MutationObserver(() => {
  if (document.documentElement.dataset.ready) requestAnimationFrame(() => requestAnimationFrame(done));
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-ready"] }))
  .then(() => performance.now());
"""
"""Before the page's own script: milliseconds from the navigation to the first whole frame."""

CHANGE = """
async ([selector, value]) => {
  const node = document.querySelector(selector), frame = () => new Promise(requestAnimationFrame);
  let last = 0;
  const watch = new MutationObserver(() => { last = performance.now(); });
  watch.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
  const from = performance.now();
  if (value === null) node.click();
  else { node.value = value; node.dispatchEvent(new Event("change", { bubbles: true })); }
  await frame(); await frame();
  const shown = performance.now();
  await new Promise((done) => setTimeout(done, 300));
  watch.disconnect();
  return { ms: Math.max(shown, last) - from, changed: last > from };
}
"""
"""(selector, value or null for a click) -> milliseconds to the frame after the document's last change."""


def opened(page: Any, address: str) -> float:
    page.goto(address)
    return page.evaluate("readyAt") / 1000


def control_times(page: Any, repeats: int) -> dict[str, float]:
    """Median milliseconds of every control, over all of its values or `repeats` of them."""
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    found = {}
    for name in page.evaluate("[...document.querySelectorAll('select[id]')].map((node) => node.id)"):
        values = page.evaluate(f"[...document.getElementById('{name}').options].map((each) => each.value)")
        if len(values) > 1:
            some = (values[1:] + values[:1]) * repeats
            found[name] = median(page, [(f"#{name}", value) for value in some[:repeats]])
    found["strategies"] = median(page, [("#boxes input:checked", None), ("#boxes input:not(:checked)", None)])
    return found


def median(page: Any, changes: list[tuple[str, str | None]]) -> float:
    done = [page.evaluate(CHANGE, list(change)) for change in changes]
    assert all(each["changed"] for each in done), changes
    return statistics.median(each["ms"] for each in done)


def measure(folder: Path, seeds: int, repeats: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    store = ResultStore(folder / "cache")
    labels, paths = planet(folder / "chips")
    pool = drawn_runs(labels, paths, CLASS_NAMES, store, splits=SPLITS, seeds=seeds)
    small = {"splits": 1, "seeds": 2, "settings": SETTINGS[:3], "encoder": "another"}
    other = Study.of(drawn_runs(labels, paths, CLASS_NAMES, store, **small), store, metric="ap", margin=0.02)
    started = time.perf_counter()
    study = Study.of(pool, store, metric="ap", margin=0.02)
    ranked = time.perf_counter()
    html = report_page([study, other], title="Which way helps?", command="python benchmarks/page.py")
    made = time.perf_counter()
    target = folder / "page.html"
    target.write_text(html, encoding="utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.add_init_script(WATCH)
        ready = statistics.median(opened(page, target.as_uri()) for _ in range(3))
        controls = control_times(page, repeats)
        browser.close()
    return {
        "heads": len(SETTINGS) * SPLITS * seeds,
        "classes": len(CLASS_NAMES),
        "megabytes": round(target.stat().st_size / 1e6, 2),
        "seconds to rank": round(ranked - started, 1),
        "seconds to make": round(made - ranked, 1),
        "seconds to interactive": round(ready, 2),
        "milliseconds to drawn": {name: round(ms) for name, ms in controls.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to work, kept; default: a temporary folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if options.folder:
        found = measure(options.folder, options.seeds, options.repeats)
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), options.seeds, options.repeats)
    for name, value in found.items():
        print(f"{name:24} {value}")
    keep("page", found)


if __name__ == "__main__":
    main()
