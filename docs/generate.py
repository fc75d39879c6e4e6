"""Writes docs/reference/ from the program's own words: `make docs`."""

import ast
import dataclasses
import importlib
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from imbpipe.cli import main
from imbpipe.registry import Registry

FOLDER = Path(__file__).with_name("reference")

PUBLIC = {
    "From Python": ("imbpipe", "compare encode Comparison load_dataset FeatureStore ImbpipeError"),
    "For scikit-learn and imbalanced-learn": ("imbpipe.sklearn", "ImbalanceClassifier PlanSampler"),
    "What data are": ("imbpipe.datasets.dataset", "Dataset"),
    "How label files are read": ("imbpipe.datasets.options", "ReadOptions"),
    "What features and training images are": ("imbpipe.types", "FeatureSet TrainingSet"),
    "What a strategy decides": ("imbpipe.strategies.plan", "Plan Phase Synthetic Start Cut"),
    "How a head is trained": ("imbpipe.heads.run", "HeadConfig Protocol"),
    "What an encoder is": ("imbpipe.encoders.encoder", "Encoder"),
    "What metrics see": ("imbpipe.evaluation.scored", "Scored"),
    "How two settings are compared": ("imbpipe.evaluation.effects", "effect Effect"),
    "Runs to compare": ("imbpipe.evaluation.trial", "Trial"),
    "What figures are drawn from": ("imbpipe.figures.figure", "FigureInputs Needs figure"),
    "Named things": ("imbpipe.registry", "Registry"),
}
"""Heading: module, names."""

REGISTRIES = {
    "Strategies": "imbpipe.strategies.strategy:STRATEGIES",
    "Encoders": "imbpipe.encoders.encoder:ENCODERS",
    "Data sets": "imbpipe.datasets.dataset:DATASETS",
    "Metrics": "imbpipe.evaluation.metrics:METRICS",
    "Figures": "imbpipe.figures.figure:FIGURES",
    "Trackers": "imbpipe.tracking.tracker:TRACKERS",
}

NOTE = "<!-- Written by `make docs` from the program itself; change it there. -->\n"


def pages() -> dict[str, str]:
    """File name: content, of every page of the reference."""
    return {"commands.md": _commands(), "python.md": _python()}


def _commands() -> str:
    lines = ["# Commands", "", NOTE, "What `imbpipe COMMAND --help` says.", "", "## imbpipe", ""]
    lines += _command(main, click.Context(main, info_name="imbpipe", **main.context_settings))
    return "\n".join(lines)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"`{' '.join(command.get_usage(context).split()).removeprefix('Usage: ')}`\n"
    yield from _paragraphs(inspect.cleandoc(command.help or "").split("\n\n"))
    rows = [_option(p, context) for p in command.get_params(context) if isinstance(p, click.Option)]
    yield from ["| option | meaning |", "|---|---|", *rows, ""]
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        inner = click.Context(found, context, name) if (found := command.get_command(context, name)) else None
        if found and inner:
            yield f"#{'#' * inner.command_path.count(' ')} {inner.command_path}\n"
            yield from _command(found, inner)


def _paragraphs(parts: list[str]) -> Iterator[str]:
    """Text as text, examples (behind click's \\b) as a block that is only shown."""
    for part in parts:
        if part.startswith("\b"):
            yield (
                "<!-- not run: files and folders of your own -->\n```bash\n"
                + inspect.cleandoc(part[1:].strip("\n"))
                + "\n```\n"
            )
        else:
            yield " ".join(part.split()) + "\n"


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record, option.name
    names, meaning = (" ".join(text.split()).replace("|", "\\|") for text in record)
    return f"| `{names}` | {meaning} |"


def _python() -> str:
    lines = ["# Python", "", NOTE]
    for heading, (module, names) in PUBLIC.items():
        lines += [f"## {heading}", "", f"From `{module}`:", ""]
        for name in names.split():
            lines += _thing(name, getattr(importlib.import_module(module), name), "###")
    for heading, place in REGISTRIES.items():
        lines += [f"## {heading}", "", *_registry(place)]
    return "\n".join(lines)


def _registry(place: str) -> Iterator[str]:
    module, _, name = place.partition(":")
    things: Registry[Any] = getattr(importlib.import_module(module), name)
    yield f"`{name}` of `{module}` holds:\n"
    yield from ["| name | what it is |", "|---|---|"]
    yield from (f"| `{each}` | {things.summary(each).replace('|', chr(92) + '|')} |" for each in things)
    yield ""


def _thing(name: str, thing: Any, level: str) -> Iterator[str]:
    yield f"{level} {name}\n"
    yield f"```\n{signature(name, thing)}\n```\n"
    yield described(thing)
    for member, value in members(thing):
        yield from _thing(f"{name}.{member}", value, level + "#")


def members(thing: Any) -> list[tuple[str, Any]]:
    """Public methods and properties that the class itself defines."""
    if not inspect.isclass(thing):
        return []
    own = [(name, value) for name, value in vars(thing).items() if not name.startswith("_")]
    kinds = (property, classmethod, staticmethod)
    return [(name, value) for name, value in own if inspect.isfunction(value) or isinstance(value, kinds)]


def signature(name: str, thing: Any) -> str:
    """With annotations as the source has them, folded where it is long."""
    if isinstance(thing, property) or getattr(thing, "_is_protocol", False):
        return name
    if inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
        thing = thing.__init__
    thing = getattr(thing, "__func__", thing)
    notes = _annotations(thing)
    pieces, star = [], False
    for each in inspect.signature(thing).parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            pieces, star = [*pieces, "*"], True
        text = {each.VAR_KEYWORD: "**", each.VAR_POSITIONAL: "*"}.get(each.kind, "") + each.name
        text += f": {notes[each.name]}" if each.name in notes else ""
        pieces.append(text + _default(each))
    result = f" -> {notes['return']}" if notes.get("return", "None") != "None" else ""
    short = f"{name}({', '.join(pieces)}){result}"
    folded = "".join(f"    {piece},\n" for piece in pieces)
    return short if len(short) <= 100 else f"{name}(\n{folded}){result}"


def _annotations(thing: Any) -> dict[str, str]:
    [node] = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    if isinstance(node, ast.ClassDef):
        found = {str(ast.unparse(n.target)): n.annotation for n in node.body if isinstance(n, ast.AnnAssign)}
    else:
        assert isinstance(node, ast.FunctionDef)
        arguments = [*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.kwarg])]
        found = {each.arg: each.annotation for each in arguments if each.annotation}
        found |= {"return": node.returns} if node.returns else {}
    return {name: ast.unparse(note).strip("'") for name, note in found.items()}


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    plain = isinstance(parameter.default, str | int | float | bool | None)
    plain = plain or (
        isinstance(parameter.default, tuple) and all(isinstance(d, str) for d in parameter.default)
    )
    return f" = {parameter.default!r}" if plain else " = …"


def described(thing: Any) -> str:
    """The docstring: prose as prose, and an item for each parameter, field, error and source."""
    names = set(named(thing)) | {"Raises", "Source", "Terms", "Fitted"}
    lines = []
    for paragraph in (inspect.getdoc(thing) or "").split("\n\n"):
        text = " ".join(paragraph.split())
        start = re.compile(r"(?:^|(?<=[.;)] ))(?=(?:(?:\w+, )*(\w+): |(Raises) ))")
        cuts = [m.start() for m in start.finditer(text) if (m[1] or m[2]) in names]
        ends = [*cuts, len(text)]
        lines += [text[: ends[0]].strip(), ""] if ends[0] else []
        lines += [f"- {text[a:b].strip()}" for a, b in itertools.pairwise(ends)]
        lines += [""] if cuts else []
    return "\n".join(lines)


def named(thing: Any) -> list[str]:
    """Its parameters or fields."""
    if isinstance(thing, property):
        return []
    if getattr(thing, "_is_protocol", False):
        return list(thing.__annotations__)
    if inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
        thing = thing.__init__
    return [
        name for name in inspect.signature(getattr(thing, "__func__", thing)).parameters if name != "self"
    ]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, content in pages().items():
        (FOLDER / file).write_text(content.rstrip("\n") + "\n", encoding="utf-8")
