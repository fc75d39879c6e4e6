"""`imbpipe report`: one page that shows the answer."""

import shlex
import sys
from pathlib import Path

import click

from imbpipe.cli import options
from imbpipe.cli.output import say


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path), default=Path("experiments/paper.toml"))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("report.html"),
    show_default=True, metavar="FILE", help="Where to put the page.",
)  # fmt: skip
@options.root
@options.cache
def report(experiment: Path, out: Path, root: Path | None, cache: Path) -> None:
    """Make one self-contained HTML page of a finished comparison.

    It opens in any browser, asks the network for nothing, and holds the answer in words, charts of every
    class, the hardest images and what it was all made from. Nothing is trained here.

    \b
      imbpipe compare experiments/paper.toml
      imbpipe report experiments/paper.toml
    """
    from imbpipe.experiments.experiment import read_experiment
    from imbpipe.report.gather import studies_of
    from imbpipe.report.page import report_page
    from imbpipe.report.write import write_page

    studies, claims = studies_of(read_experiment(experiment), cache, root, say=say)
    command = shlex.join(["imbpipe", *sys.argv[1:]])
    title = "Which way of handling class imbalance helps?"
    write_page(out, report_page(studies, title=title, command=command, claims=claims))
    click.echo(f"{out}  ({out.stat().st_size / 1e6:.1f} MB)")
