"""What there is: data sets, encoders, strategies, metrics, each with a line and its source."""

import textwrap
from collections.abc import Callable
from typing import Any

import click

from imbpipe.cli import options
from imbpipe.cli.output import print_json
from imbpipe.registry import Registry


def _listing(registry: Callable[[], Registry[Any]], title: str) -> Callable[[bool], None]:
    def show(as_json: bool) -> None:
        things = registry()
        entries = [{"name": name, "summary": things.summary(name), **things.facts(name)} for name in things]
        if as_json:
            print_json(entries)
            return
        for entry in entries:
            name = entry.pop("name")
            click.echo(f"{click.style(name, bold=True)}: {entry.pop('summary')}")
            defaults = things.defaults(name)
            for fact, text in entry.items():
                value = defaults.get(fact)
                click.echo(_wrapped(f"{fact}: {text}" if value is None else f"{fact} = {value}: {text}"))

    show.__doc__ = title
    return show


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text,
        96,
        initial_indent=" " * 4,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _datasets() -> Registry[Any]:
    from imbpipe.datasets.dataset import DATASETS

    return DATASETS


def _encoders() -> Registry[Any]:
    from imbpipe.encoders.encoder import ENCODERS

    return ENCODERS


def _strategies() -> Registry[Any]:
    from imbpipe.strategies.strategy import STRATEGIES

    return STRATEGIES


def _metrics() -> Registry[Any]:
    from imbpipe.evaluation.metrics import METRICS

    return METRICS


def _command(name: str, registry: Callable[[], Registry[Any]], title: str) -> click.Command:
    return click.command(name)(options.as_json(_listing(registry, title)))


datasets = _command(
    "datasets",
    _datasets,
    "List the data sets, where to get them and under what terms.\n\n"
    "Any folder with one subfolder a class and any CSV or Parquet table of images and labels works as well, "
    "and hf:NAME[#CONFIG][@REVISION][:SPLIT] of Hugging Face.",
)
encoders = _command(
    "encoders",
    _encoders,
    "List the encoders.\n\n"
    "Any other by its library's name: open_clip:MODEL/PRETRAINED, torchvision:NAME, timm:NAME[@SIZE].",
)


@click.command()
@options.as_json
@click.option("--markdown", is_flag=True, help="Print the documentation's table.")
def strategies(as_json: bool, markdown: bool) -> None:
    """List the strategies, their parameters and sources."""
    if markdown:
        from imbpipe.strategies.table import markdown_table

        click.echo(markdown_table())
        return
    _listing(_strategies, "")(as_json)


metrics = _command("metrics", _metrics, "List the metrics.")
