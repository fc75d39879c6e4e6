"""Pages of documentation as blocks that can be run. What a page may hold:

```bash       lines of a shell; those of a page share folder, environment and working directory
```python     code; that of a page shares one namespace
```text       what the block above it printed, stdout and stderr; "…" stands for anything, and decimals
              may differ by five units of their last digit
```toml …     files of other kinds, which are only parsed unless a comment says under which name to keep them
```           with no language: neither a command nor an output, a drawing of folders for example

Comments on the lines above a block, which readers do not see, say what else holds for it:

<!-- exit status: 1 -->       a command that fails, and how
<!-- not run: the reason -->  what cannot be run everywhere; it is checked as far as that goes
<!-- file: name.toml -->      the block is the content of this file
<!-- scene: planet -->        anywhere: what lies in the folder beforehand (see doc_scenes.py)
"""

import re
from dataclasses import dataclass
from pathlib import Path

from sybil.document import Document
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_LEXER = RawFencedCodeBlockLexer(re.compile(r"(?P<language>[^\n]*)\n"))
_COMMENT = re.compile(r"<!-- ([\w ]+): (.+?) -->\s*\Z")
_INDENTED = re.compile(r"^\n {4}(\S.*)", re.MULTILINE)
_NUMBER = r"[+-]?\d*\.\d+"


@dataclass(frozen=True)
class Block:
    """line: of the page, from 1, where its text begins. notes: what the comments above it say."""

    path: Path
    line: int
    language: str
    text: str
    notes: dict[str, str]

    @property
    def place(self) -> str:
        return f"{name_of(self.path)}:{self.line}"


@dataclass(frozen=True)
class Page:
    """indented: first lines of blocks that are indented in place of fenced, and so are not run."""

    path: Path
    scenes: tuple[str, ...]
    blocks: tuple[Block, ...]
    indented: tuple[str, ...]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def read_page(path: Path) -> Page:
    """Its blocks in order."""
    text = path.read_text(encoding="utf-8")
    blocks = []
    outside = text
    for region in _LEXER(Document(text, str(path))):
        line = text.count("\n", 0, region.start) + 2
        language, source = region.lexemes["language"].strip(), region.lexemes["source"]
        blocks.append(Block(path, line, language, source, _notes(text[: region.start])))
        outside = outside.replace(text[region.start : region.end], "")
    scenes = re.findall(r"^<!-- scene: (.+?) -->$", text, re.MULTILINE)
    return Page(path, tuple(scenes), tuple(blocks), tuple(_INDENTED.findall(outside)))


def _notes(above: str) -> dict[str, str]:
    notes = {}
    while comment := _COMMENT.search(above):
        notes[comment[1]] = comment[2]
        above = above[: comment.start()]
    return notes


def same_output(expected: str, printed: str) -> bool:
    """Whether `printed` is what the page shows, "…" standing for anything."""
    expected, printed = _tidy(expected), _tidy(printed)
    pieces = re.split(f"((?m:^…\n)|…|{_NUMBER})", expected)
    numbers = [piece for piece in pieces[1::2] if not piece.startswith("…")]
    kinds = {"…": ".*?", "…\n": r"(?:[^\n]*\n)*?"}
    pattern = "".join(
        re.escape(piece) if at % 2 == 0 else kinds.get(piece, f"({_NUMBER})")
        for at, piece in enumerate(pieces)
    )
    found = re.fullmatch(pattern, printed, re.DOTALL)
    return found is not None and all(map(_near, numbers, found.groups()))


def _near(shown: str, printed: str) -> bool:
    unit = 10.0 ** -len(shown.partition(".")[2])
    return abs(float(shown) - float(printed)) < 5.5 * unit


def _tidy(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())
