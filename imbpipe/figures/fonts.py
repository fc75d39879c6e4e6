"""Which characters can be drawn here, and what stands for the others."""

from functools import cache

from imbpipe.errors import show

OWN = "DejaVu Sans"
"""Travels with matplotlib: Latin, Greek, Cyrillic, Hebrew, Arabic and more, on every machine."""

FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Nirmala UI",
    "Arial Unicode MS",
    "Unifont",
)
"""Common fonts for other scripts, used in this order where they are installed."""


@cache
def families() -> list[str]:
    """The fonts to draw with, the first that has a character drawing it."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [OWN, *(name for name in FALLBACKS if name in installed)]


@cache
def _drawable() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    paths = [findfont(FontProperties(family=name)) for name in families()]
    return frozenset(code for path in paths for code in get_font(path).get_charmap())


def drawable(text: str) -> str:
    """`text` on one line; a character that no font here has is spelt out, never an empty box."""
    known = _drawable()
    return "".join(
        char if ord(char) in known else char.encode("unicode_escape").decode() for char in show(text)
    )
