"""The command line: a few lines a command, over library calls. The only importer of click."""

import importlib
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from imbpipe.cli.complete import offer_names
from imbpipe.errors import EXIT_INTERRUPTED, ImbpipeError

COMMANDS = {
    "quickstart": "From your own images to the answer: encode, compare a short list, make the page.",
    "labels": "Say how imbalanced the labels are before anything is trained.",
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
        command = getattr(importlib.import_module(f"imbpipe.cli.{module}"), name)
        offer_names(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        from imbpipe.cli.output import LOG, end_log, say

        try:
            return super().invoke(ctx)
        except ImbpipeError as error:
            say(f"Error: {error}")
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            say("Interrupted. The same command goes on where it stopped.")
            sys.exit(EXIT_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException, BrokenPipeError):
            raise
        except Exception:
            LOG.exception("This is a bug")
            raise
        finally:
            LOG.info("end")
            end_log()


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="imbpipe")
@click.option(
    "--log", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Also write times and messages to FILE, after what it holds.",
)  # fmt: skip
def main(log: Path | None) -> None:
    """Which way of handling class imbalance helps on your images, and on which classes?

    Encode once, train hundreds of heads over the cached features, compare:

    \b
      imbpipe quickstart path/to/folder
      imbpipe extract --encoder resnet18
      imbpipe train --strategy undersample

    Without --dataset, a drawn sample in the layout of Planet's Amazon chips is used.
    """
    from imbpipe.cli.output import LOG, start_log

    if log is not None:
        start_log(log)
        LOG.info("%s", shlex.join(["imbpipe", *sys.argv[1:]]))
