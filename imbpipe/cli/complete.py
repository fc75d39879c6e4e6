"""What a shell completes: names of strategies, metrics, encoders, data sets, figures and saved runs."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from imbpipe.registry import Registry

Offer = Callable[[click.Context], Iterable[CompletionItem]]


class Names(click.ParamType):
    """Any text; a shell is offered the names that `offer` knows, and files where none of them is meant."""

    name = "text"

    def __init__(self, offer: Offer, *, files: bool = False) -> None:
        self._offer = offer
        self._files = files

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those that begin with `incomplete`."""
        meant = [item for item in self._offer(ctx) if item.value.startswith(incomplete)]
        return meant or ([CompletionItem(incomplete, type="file")] if self._files else [])


def offer_names(command: click.Command) -> None:
    """Give the options of `command` and of its subcommands that take a name what a shell can offer."""
    for param in command.params:
        for name in param.opts:
            if name in OFFERS and param.type is click.STRING:
                param.type = OFFERS[name]
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        offer_names(inner)


def _named(registry: Registry[Any]) -> list[CompletionItem]:
    return [CompletionItem(name, help=registry.summary(name)) for name in registry]


def _strategies(ctx: click.Context) -> list[CompletionItem]:
    from imbpipe.strategies.strategy import STRATEGIES

    return _named(STRATEGIES)


def _metrics(ctx: click.Context) -> list[CompletionItem]:
    from imbpipe.evaluation.metrics import METRICS

    return _named(METRICS)


def _encoders(ctx: click.Context) -> list[CompletionItem]:
    from imbpipe.encoders.encoder import ENCODERS

    return _named(ENCODERS)


def _datasets(ctx: click.Context) -> list[CompletionItem]:
    from imbpipe.datasets.dataset import DATASETS

    known = _named(DATASETS)
    if ctx.parent is None or ctx.parent.command.name != "cache":
        return known
    cached = {
        spec.parent.parent.name for spec in Path(ctx.params.get("cache") or "cache").glob("*/*/SPEC.json")
    }
    return [CompletionItem(name, help="in the cache") for name in sorted(cached)]


def _figures(ctx: click.Context) -> list[CompletionItem]:
    from imbpipe.figures.figure import FIGURES

    return _named(FIGURES)


def _runs(ctx: click.Context) -> list[CompletionItem]:
    """Of the scores that the command line names before."""
    from imbpipe.errors import ImbpipeError
    from imbpipe.evaluation.saved import read_saved

    words = [ctx.params.get("scores"), *ctx.args]  # an option without its value leaves arguments unread
    file = next((word for word in words if word and Path(word).is_file()), None)
    try:
        return [CompletionItem(name) for name in read_saved(Path(file)).runs] if file else []
    except ImbpipeError:
        return []


OFFERS = {
    "--strategy": Names(_strategies),
    "--metric": Names(_metrics),
    "--encoder": Names(_encoders),
    "--dataset": Names(_datasets, files=True),
    "--figure": Names(_figures),
    "--run": Names(_runs),
    "dataset": Names(_datasets, files=True),
}
"""Option or argument -> what it takes."""
