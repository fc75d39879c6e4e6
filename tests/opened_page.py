"""A page in a real browser, without a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def opened(browser: Any, path: Path, **look: Any) -> Iterator[Any]:
    """`heard` lists what its console said and the addresses that were asked for. look: of the context."""
    context = browser.new_context(offline=True, **look)
    page = context.new_page()
    page.heard = []
    page.on("console", lambda m: page.heard.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.heard.append(str(error)))
    page.on("dialog", lambda dialog: page.heard.append("a dialog"))
    page.on("request", lambda r: page.heard.append(r.url) if not r.url.startswith("data:") else None)
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.ready", timeout=60_000)
    yield page
    context.close()
