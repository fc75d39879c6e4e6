"""Every command and snippet of README.md and docs/ does what its page says, read from top to bottom.

How pages are written so that this can be told: doc_pages.py.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, name_of, read_page, same_output
from doc_scenes import SCENES, alone, copy_of
from doc_session import PageError, Session, check_unrun, environment_of

from imbpipe.experiments.experiment import read_experiment

UNRUN = [block for path in PAGES for block in read_page(path).blocks if "not run" in block.notes]
AFTER = "after "


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """One folder for all processes that run these tests."""
    here = tmp_path_factory.getbasetemp()
    folder = (here.parent if here.name.startswith("popen-") else here) / "docs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder of programs in which `imbpipe` answers at once."""
    from warm_imbpipe import write_client

    folder = tmp_path_factory.mktemp("programs")
    address = tmp_path_factory.mktemp("s") / "s"
    server = Path(__file__).with_name("warm_imbpipe.py")
    with subprocess.Popen([sys.executable, server, address], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "ready\n"
        write_client(folder / "imbpipe", address)
        yield folder
        running.kill()


@pytest.fixture
def read_through(shared, programs, tmp_path):
    """Reads a page; gives the folder that it leaves. A page that others go on from is read once for all."""

    def read(path: Path) -> Path:
        with alone(shared, name_of(path).replace("/", "-")) as place:
            done = place / "done"
            if not done.exists():
                shutil.rmtree(place, ignore_errors=True)
                done.write_text(_said_of(path, place))
            if complaint := done.read_text():
                raise PageError(complaint)
        return place / "folder"

    def _said_of(path: Path, place: Path) -> str:
        try:
            _read(path, place)
        except PageError as error:
            return str(error)
        return ""

    def _read(path: Path, place: Path) -> None:
        folder, scratch = place / "folder", place / "scratch"
        for each in (folder, scratch):
            each.mkdir(parents=True)
        environment = environment_of(scratch, programs)
        page = read_page(path)
        for name in page.scenes:
            if name.startswith(AFTER):
                copy_of(read(ROOT / name.removeprefix(AFTER)), folder)
            else:
                SCENES[name](folder, environment, shared)
        Session(folder, scratch, environment).read(page)

    return read


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_page_does_what_it_says(path, read_through):
    read_through(path)


@pytest.mark.parametrize("block", UNRUN, ids=lambda block: f"{block.place} {block.notes['not run']}")
def test_what_is_not_run_everywhere_is_valid_all_the_same(block):
    check_unrun(block)


def test_the_pages_leave_little_unrun():
    written = [block.place for block in UNRUN if "reference/" not in block.place]
    assert len(written) <= 12, written


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.toml")), ids=name_of)
def test_experiments_that_pages_name_can_be_read(path):
    assert read_experiment(path).entries


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("ap .534 [.516]", "ap .536 [.512]  \n", True),
        ("ap .534", "ap .544", False),
        ("ap 0.5", "ap 0.9", True),
        ("1484 images", "1485 images", False),
        ("… images", "1485 images", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nb\nc\n", False),
        ("…\na\n…", "a\n", True),
        ("a\n…\nb", "a\nb", True),
        ("a\n…\nb", "a\nxb", False),
        ("better", "worse", False),
    ],
)
def test_output_is_compared_as_the_pages_promise(expected, printed, same):
    assert same_output(expected, printed) is same


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```bash\nimbpipe strategies\nfalse\n```\n", "page.md:2: exit status 1, not 0"),
        ("```bash\necho 1\n```\n\n```text\n2\n```\n", "page.md:6: printed is something else"),
        ("<!-- not run: a cluster -->\n```bash\nimbpipe train --sedes 3\n```\n", "No such option"),
        ("<!-- not run: a cluster -->\n```bash\nimbpipe cache verifi\n```\n", "No such command"),
        ("<!-- not run: no GPU -->\n```python\nprint(\n```\n", "page.md:3: "),
        ("```\nimbpipe train\n```\n", "a command in a block that is not run"),
        ("```haskell\nmain\n```\n", "say under which name to keep a block of haskell"),
        ("```toml\na = \n```\n", "Invalid value"),
    ],
)
def test_a_page_that_says_something_wrong_is_told_with_the_place(text, says, tmp_path, programs):
    page = tmp_path / "page.md"
    page.write_text(text)
    session = Session(tmp_path, tmp_path, environment_of(tmp_path, programs))
    with pytest.raises(PageError, match=says):
        session.read(read_page(page))


SHARING = """\
```bash
mkdir sub && cd sub
export GREETING='a "b"'
```
```bash
echo "$GREETING" in ${PWD##*/}
```
```text
a "b" in sub
```
<!-- file: sub/data.toml -->
```toml
n = 1
```
```python
from pathlib import Path
found = Path("sub/data.toml").read_text()
```
```python
print(found)
```
```text
n = …
```
<!-- exit status: 2 -->
```bash
imbpipe train --sedes 3
```
```text
…No such option '--sedes'.…
```
"""


def test_blocks_of_a_page_share_shell_names_and_files(tmp_path, programs):
    page = tmp_path / "page.md"
    page.write_text(SHARING)
    Session(tmp_path, tmp_path, environment_of(tmp_path, programs)).read(read_page(page))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_block_of_a_page_is_fenced_so_that_it_is_run(path):
    assert read_page(path).indented == ()


def test_an_indented_block_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Run\n\n    imbpipe train\n\n```\na\n\n    b\n```\n")
    assert read_page(page).indented == ("imbpipe train",)
