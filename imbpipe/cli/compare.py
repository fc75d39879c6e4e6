"""`imbpipe compare`: a whole experiment file."""

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.output import bar, print_json, print_table, say

if TYPE_CHECKING:
    from imbpipe.experiments.pool import Pool
    from imbpipe.experiments.ranking import Difference, Ranked, Ranking


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path), default=Path("experiments/paper.toml"))
@options.root
@options.cache
@click.option(
    "--metric", metavar="NAME", help="What to rank by (see `imbpipe metrics`); default: the file's."
)
@options.cached
@options.device
@options.as_json
def compare(
    experiment: Path,
    root: Path | None,
    cache: Path,
    metric: str | None,
    cached: bool,
    device: str,
    as_json: bool,
) -> None:
    """Run a whole experiment file: encode what is missing, train what is missing, rank.

    Where the file lists several data sets or encoders in the place of one, the first that is at hand is
    taken and the others are named. An interrupted comparison goes on where it stopped.

    The table ranks strategies by the metric's mean over the low-frequency classes (training count at or
    below the 25th percentile) on test images. Of a strategy with several settings the one best on validation
    images stands for it, unless the file says `choose = false`. Differences from the baseline come with 95 %
    intervals over test images, seeds and splits, p-values are Holm's over the table, and "rows" is the number
    of training rows an epoch against the baseline's.

    \b
      imbpipe compare experiments/paper.toml
    """
    from imbpipe.cache.store import FeatureStore
    from imbpipe.experiments.experiment import read_experiment
    from imbpipe.experiments.places import Surroundings, places
    from imbpipe.experiments.pool import pool_of
    from imbpipe.experiments.ranking import check_metric, rank, summary
    from imbpipe.experiments.results import ResultStore
    from imbpipe.experiments.trials import Trials

    plan = read_experiment(experiment)
    metric = metric or plan.metric
    check_metric(metric)
    results = ResultStore(cache)
    report: list[dict[str, Any]] = []
    for data, features in places(plan, Surroundings(FeatureStore(cache), root, device, cached, say, bar)):
        pool = pool_of(plan, data, features)
        with bar(f"{data.name} by {features.encoder}", "heads") as progress:
            pool.train(results, device=device, progress=progress)
        ranking = rank(Trials(pool, results), metric, margin=plan.margin, choose=plan.choose)
        place = {"dataset": data.name, "encoder": features.encoder, "metric": metric}
        report += [{**place, **asdict(row)} for row in ranking.rows]
        if not as_json:
            click.echo(f"\n{heading(pool, metric)}")
            print_table(*ranking_table(ranking))
            for line in summary(ranking):
                click.echo(textwrap.fill(line, 80, subsequent_indent="  "))
    kept = results.save_table(f"ranking-{experiment.stem}", report)
    if as_json:
        print_json(report)
    else:
        click.echo(f"\nThis ranking: pandas.read_parquet('{kept}')")


def heading(pool: "Pool", metric: str) -> str:
    """What a table was made from."""
    from imbpipe.evaluation.metrics import METRICS

    source, grids = pool.material.source, pool.grids
    runs = f"{len(grids)} splits x {len(grids[0].seeds)} seeds ({grids[0].split.name}"
    more = f" to {grids[-1].split.name.rpartition('-')[2]})" if len(grids) > 1 else ")"
    return (
        f"{source.dataset} ({len(pool.material.dataset)} images), {source.encoder} "
        f"({source.spec['weights']} weights)\n{runs}{more}\n{metric}: {METRICS.summary(metric)}"
    )


def ranking_table(ranking: "Ranking") -> tuple[list[str], list[list[str]]]:
    """Columns and rows for the terminal: on the low-frequency classes but for one column."""
    metric = ranking.metric
    columns = ["strategy", f"rare {metric}", "recall", f"other {metric}", "against baseline", "p", "rows"]
    return columns, [
        [
            f"{row.strategy} {_setting(row)}".strip(),
            _number(row.low_frequency),
            _number(row.recall),
            _number(row.remaining),
            *_difference(row.on_low_frequency),
            f"{row.rows:.3g}x",
        ]
        for row in ranking.rows
    ]


def _setting(row: "Ranked") -> str:
    return row.setting if row.settings == 1 else f"{row.setting} of {row.settings}"


def _difference(difference: "Difference | None") -> tuple[str, str]:
    if difference is None:
        return "", ""
    ends = f"[{_number(difference.low, '+')}, {_number(difference.high, '+')}]"
    known = difference.low == difference.low
    return f"{_number(difference.estimate, '+')} {ends if known else '(one run)'}", _p(difference.p)


def _number(value: float, sign: str = "") -> str:
    """Three decimals without the 0 before the point, as there is never anything else."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1) if value == value else "none"


def _p(p: float) -> str:
    if p != p:
        return ""
    return "<.001" if p < 0.001 else _number(p)
