"""The command line: a few lines a command, over library calls. The only importer of click."""

import importlib
import sys
from typing import Any

import click

from imbpipe.errors import EXIT_INTERRUPTED, ImbpipeError

COMMANDS = {
    "labels": "Say how imbalanced labels are, and what weighting and resampling would do to every class.",
    "extract": "Encode every image once with a frozen encoder into one HDF5 file.",
    "train": "Train heads over cached features and compare with the baseline.",
    "compare": "Run a whole experiment file: encode what is missing, train what is missing, rank.",
    "evaluate": "Say what saved scores are worth, class by class, and what accuracy hides.",
    "claims": "Test the paper's eight claims by its text's protocol and by its code's, side by side.",
    "figures": "Draw the paper's figures from finished runs.",
    "report": "Make one self-contained HTML page of a finished comparison.",
    "cache": "Look after the cached features.",
    "datasets": "List the data sets, where to get them and under what terms.",
    "encoders": "List the encoders.",
    "strategies": "List the strategies, their parameters and sources.",
    "metrics": "List the metrics.",
}


class Commands(click.Group):
    """Loads a command's module only when it is asked for, so that help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = "lists" if name in ("datasets", "encoders", "strategies", "metrics") else name
        return getattr(importlib.import_module(f"imbpipe.cli.{module}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ImbpipeError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            click.echo("Interrupted. The same command goes on where it stopped.", err=True)
            sys.exit(EXIT_INTERRUPTED)


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="imbpipe")
def main() -> None:
    """Which way of handling class imbalance helps on your images, and on which classes?

    Encode once, train hundreds of heads over the cached features, compare:

    \b
      imbpipe extract --encoder resnet18
      imbpipe train --strategy undersample

    Without --dataset, a drawn sample in the layout of Planet's Amazon chips is used.
    """
