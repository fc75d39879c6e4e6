"""`imbpipe figures`: the paper's figures from finished runs."""

import functools
import sys
from pathlib import Path
from typing import Any

import click

from imbpipe.cli import options
from imbpipe.cli.output import print_json, say
from imbpipe.errors import EXIT_INPUT


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path), default=Path("experiments/paper.toml"))
@click.option(
    "--figure",
    "wanted",
    multiple=True,
    metavar="NAME",
    help="Only this one (1 to 12, or another's name); may be repeated.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, metavar="DIR",
    help="Where to put each figure as PNG, SVG and PDF.",
)  # fmt: skip
@options.root
@options.cache
@options.metric
@options.as_json
def figures(
    experiment: Path,
    wanted: tuple[str, ...],
    out: Path,
    root: Path | None,
    cache: Path,
    metric: str,
    as_json: bool,
) -> None:
    """Draw the paper's figures from finished runs.

    Figures 1 to 5 need label files and some images, 6 to 12 the runs of `imbpipe compare`. An experiment
    that compares subsets of the images has figures of its own: score against size, `redundancy` and
    `redundancy-single-label`. Nothing is trained here.

    \b
      imbpipe figures
      imbpipe figures --figure 6 --metric recall
      imbpipe figures experiments/redundancy.toml --figure redundancy
    """
    from imbpipe.cache.store import FeatureStore
    from imbpipe.evaluation.metrics import METRICS
    from imbpipe.experiments.experiment import read_experiment
    from imbpipe.experiments.results import ResultStore
    from imbpipe.figures.draw import draw
    from imbpipe.figures.figure import FIGURES, names_for
    from imbpipe.figures.gather import Sources

    _ = METRICS[metric]
    sources = Sources(read_experiment(experiment), FeatureStore(cache), ResultStore(cache), root, metric)
    report: list[dict[str, Any]] = []
    say_once = functools.cache(say)
    compared = {entry.setting.strategy for entry in sources.experiment.entries}
    for name in wanted or names_for(compared):
        [(_, drawn)] = draw([name], sources.inputs(name, say=say_once), out)
        report.append({"figure": name, "files": [] if isinstance(drawn, str) else drawn})
        if isinstance(drawn, str):
            say(f"Figure {name} was not drawn: {drawn}")
        elif not as_json:
            click.echo(f"{drawn[0]}  {FIGURES.summary(name)}")
    if as_json:
        print_json(report)
    if not all(entry["files"] for entry in report):
        sys.exit(EXIT_INPUT)
