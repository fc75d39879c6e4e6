"""The reference is what the program says of itself now, and the program says something of everything."""

import importlib.util
import re
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from imbpipe.cli import main

PLACE = Path(__file__).parents[1] / "docs/generate.py"
spec = importlib.util.spec_from_file_location("generate", PLACE)
generate = importlib.util.module_from_spec(spec)
sys.modules["generate"] = generate
spec.loader.exec_module(generate)


def public():
    """(name, thing, what is said of the class it belongs to) of every public function, class and method."""
    for module, names in generate.PUBLIC.values():
        for name in names.split():
            thing = getattr(import_module(module), name)
            yield name, thing, ""
            about = generate.described(thing)
            yield from ((f"{name}.{member}", value, about) for member, value in generate.members(thing))


def commands(command=main, path="imbpipe"):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), f"{path} {name}")


@pytest.mark.parametrize("file", ["commands.md", "python.md"])
def test_the_reference_is_what_the_program_says(file):
    written = (generate.FOLDER / file).read_text(encoding="utf-8")
    assert written.rstrip("\n") == generate.pages()[file].rstrip("\n"), "Run: make docs"


@pytest.mark.parametrize(("name", "thing", "about"), [pytest.param(*each, id=each[0]) for each in public()])
def test_what_is_public_says_what_it_is_and_what_each_parameter_means(name, thing, about):
    text = generate.described(thing)
    assert re.search(r"\w{3}", text)
    own = [each for each in generate.named(thing) if each not in ("X", "y", "params")]
    assert [each for each in own if not re.search(rf"\b{each}\b", text + about)] == []


@pytest.mark.parametrize("command", [pytest.param(each, id=path) for path, each in commands()])
def test_every_command_and_option_says_what_it_does(command):
    assert command.help
    options = [each for each in command.get_params(click.Context(command)) if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


def test_the_public_names_of_the_package_are_in_the_reference():
    import imbpipe

    assert set(imbpipe.__all__) == set(generate.PUBLIC["From Python"][1].split())


def test_lines_of_a_docstring_become_items():
    def made(first: int, other: str = "a", *, third: "list[int] | None" = None) -> None:
        """Makes it.

        first: a number. other: (n, c)
            array. third: of some use.
        Raises PlanError: too late.

        More: see there.
        """

    assert generate.described(made) == (
        "Makes it.\n\n- first: a number.\n- other: (n, c) array.\n- third: of some use.\n"
        "- Raises PlanError: too late.\n\nMore: see there.\n"
    )
    assert (
        generate.signature("made", made)
        == "made(first: int, other: str = 'a', *, third: list[int] | None = None)"
    )
