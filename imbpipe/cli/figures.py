"""`imbpipe figures`: the paper's figures from finished runs."""

from pathlib import Path

import click

from imbpipe.cli import options
from imbpipe.cli.output import print_json, say


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path), default=Path("experiments/paper.toml"))
@click.option("--figure", "wanted", multiple=True, metavar="N", help="Only this one (1 to 12); may be repeated.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, metavar="DIR",
    help="Where to put each figure as PNG, SVG and PDF.",
)  # fmt: skip
@options.root
@options.cache
@options.metric
@options.as_json
def figures(
    experiment: Path, wanted: tuple[str, ...], out: Path, root: Path | None, cache: Path, metric: str, as_json: bool
) -> None:
    """Draw the paper's figures from finished runs.

    Figures 1 to 5 need label files and some images, 6 to 12 the runs of `imbpipe compare`. Nothing is trained here.

    \b
      imbpipe figures
      imbpipe figures --figure 6 --metric recall
    """
    from imbpipe.experiments.experiment import read_experiment
    from imbpipe.figures.draw import draw
    from imbpipe.figures.gather import gather_inputs

    plan = read_experiment(experiment)
    drawn = draw(wanted, gather_inputs(plan, wanted, cache, root, metric, say=say), out)
    if as_json:
        print_json([{"figure": name, "files": files} for name, files in drawn])
