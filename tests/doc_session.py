"""One page read through from top to bottom, as by somebody who types all of it."""

import ast
import contextlib
import difflib
import io
import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from doc_pages import ROOT, Block, Page, same_output

from imbpipe.cli import main

AROUND = """\
[ ! -e {state} ] || {{ source {state}; cd "$PWD"; }}
trap 'declare -px > {state}' EXIT
"""
"""Before the lines of a block: what earlier blocks exported, and where they went to."""

PARSERS = {"toml": tomllib.loads, "json": json.loads, "python": ast.parse}
SHELL, PYTHON = ("bash", "sh"), ("python", "py")


class PageError(AssertionError):
    """A block that does something else than its page says."""


class Session:
    """folder: where the page's commands run, and where their changes stay. environment: of its shell.

    scratch: a folder outside it for what belongs to the session alone.
    """

    def __init__(self, folder: Path, scratch: Path, environment: dict[str, str]) -> None:
        self.folder, self.scratch, self.environment = folder, scratch, environment
        self.names: dict[str, Any] = {"__name__": "__page__"}
        self.printed: str | None = None

    def read(self, page: Page) -> None:
        """Do what every block says. Raises PageError: the place, what was said and what happened."""
        for block in page.blocks:
            self._do(block)

    def _do(self, block: Block) -> None:
        if "not run" in block.notes:
            check_unrun(block)
            self.printed = None
        elif "file" in block.notes:
            file = self.folder / block.notes["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "text":
            self._compare(block)
        elif block.language in SHELL:
            self._shell(block)
        elif block.language in PYTHON:
            self._python(block)
        else:
            check_unrun(block)

    def _shell(self, block: Block) -> None:
        state, script = self.scratch / "state", self.scratch / "block"
        script.write_text(AROUND.format(state=shlex.quote(str(state))) + block.text, encoding="utf-8")
        done = subprocess.run(
            ["bash", "-eo", "pipefail", script], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        self.printed = done.stdout
        expected = int(block.notes.get("exit status", 0))
        if done.returncode != expected:
            raise PageError(f"{block.place}: exit status {done.returncode}, not {expected}:\n{done.stdout}")

    def _python(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.text, str(block.path), "exec")
        with self._inside() as printed:
            exec(code, self.names)
        self.printed = printed.getvalue()

    @contextlib.contextmanager
    def _inside(self) -> Iterator[io.StringIO]:
        """In the page's folder and environment, catching what is printed."""
        printed, before = io.StringIO(), dict(os.environ)
        os.environ.update(self.environment)
        try:
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
                yield printed
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _compare(self, block: Block) -> None:
        if self.printed is None:
            return
        if not same_output(block.text, self.printed):
            lines = difflib.ndiff(block.text.splitlines(), self.printed.splitlines())
            raise PageError(f"{block.place}: printed is something else (+):\n" + "\n".join(lines))


def check_unrun(block: Block) -> None:
    """As much as can be known of a block without running it. Raises PageError."""
    try:
        if block.language in SHELL:
            _check_shell(block.text)
        elif block.language in PARSERS:
            PARSERS[block.language](block.text)
        elif block.language not in ("", "text"):
            raise ValueError(f"say under which name to keep a block of {block.language}, or run it")
        elif "file" not in block.notes and any(
            line.split()[:1] == ["imbpipe"] for line in block.text.split("\n")
        ):
            raise ValueError("a command in a block that is not run: begin it with ```bash")
    except (ValueError, SyntaxError, click.ClickException) as error:
        raise PageError(f"{block.place}: {getattr(error, 'message', error)}") from None


def _check_shell(text: str) -> None:
    """bash's grammar; commands and options of imbpipe; targets of make."""
    checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    if checked.returncode:
        raise ValueError(checked.stderr.strip())
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:
            words.pop(0)
        if words[:1] == ["imbpipe"]:
            _check_call(main, words)
        if words[:1] == ["make"]:
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def _check_call(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    context = command.make_context(words[0], words[1:], parent=parent)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, arguments = command.resolve_command(context, rest)
        if found is not None:
            _check_call(found, [str(name), *arguments], context)


def environment_of(folder: Path, programs: Path, **more: str) -> dict[str, str]:
    """What a shell has in which the project's programs come first and no hub is asked for weights."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "COLUMNS": "80",
        "HF_HUB_OFFLINE": "1",
        **more,
    }
