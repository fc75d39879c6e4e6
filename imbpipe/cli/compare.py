"""`imbpipe compare`: a whole experiment file."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.forecast import tell_forecast
from imbpipe.cli.output import bar, number, print_json, print_table, say, tell, tell_wrapped
from imbpipe.cli.tracking import open_tracker

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
@options.dry_run
@options.memory
@options.device
@options.track
@options.as_json
def compare(
    experiment: Path,
    root: Path | None,
    cache: Path,
    metric: str | None,
    cached: bool,
    dry_run: bool,
    memory: int | None,
    device: str,
    track: str | None,
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
    from imbpipe.experiments.forecast import forecast
    from imbpipe.experiments.places import Surroundings, places
    from imbpipe.experiments.pool import pool_of
    from imbpipe.experiments.ranking import check_metric, rank
    from imbpipe.experiments.results import ResultStore
    from imbpipe.experiments.trials import Trials

    plan = read_experiment(experiment)
    metric = metric or plan.metric
    check_metric(metric)
    around = Surroundings(FeatureStore(cache, memory=memory), root, device, cached, say, bar)
    if dry_run:
        tell_forecast(forecast(plan, around), as_json=as_json)
        return
    log = open_tracker(track, cache)
    results = ResultStore(cache)
    compared: list[tuple[Pool, Ranking]] = []
    report: list[dict[str, Any]] = []
    for data, features in places(plan, around):
        pool = pool_of(plan, data, features)
        with bar(f"{data.name} by {features.encoder}", "heads") as progress:
            pool.train(results, device=device, progress=progress)
        ranking = rank(Trials(pool, results), metric, margin=plan.margin, choose=plan.choose)
        place = {"dataset": data.name, "encoder": features.encoder, "metric": metric}
        report += [{**place, **asdict(row)} for row in ranking.rows]
        compared += [(pool, ranking)] if track else []
        if not as_json:
            tell_ranking(pool, ranking)
    kept = results.save_table(f"ranking-{experiment.stem}", report)
    if as_json:
        print_json(report)
    else:
        tell("")
        tell(f"This ranking: pandas.read_parquet('{kept}')")
    for pool, ranking in compared:
        from imbpipe.tracking.differences import of_ranking

        log(pool.grids, results, of_ranking(ranking))


def tell_ranking(pool: "Pool", ranking: "Ranking") -> None:
    """Heading, table and sentences."""
    from imbpipe.experiments.sentences import summary

    tell("")
    for line in heading(pool, ranking.metric):
        tell_wrapped(line)
    print_table(*ranking_table(ranking))
    for line in summary(ranking):
        tell_wrapped(line)


def heading(pool: "Pool", metric: str) -> list[str]:
    """What a table was made from."""
    from imbpipe.evaluation.metrics import METRICS

    source, grids = pool.material.source, pool.grids
    splits, seeds = _many(len(grids), "split"), _many(len(grids[0].seeds), "seed")
    runs = f"{splits} with {seeds} on each ({grids[0].split.name}"
    more = f" to {grids[-1].split.name.rpartition('-')[2]})" if len(grids) > 1 else ")"
    return [
        f"{source.dataset} ({pool.material.dataset.extent}), {source.encoder} "
        f"({source.spec['weights']} weights)",
        f"{runs}{more}",
        f"{metric}: {METRICS.summary(metric)}",
    ]


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def ranking_table(ranking: "Ranking") -> tuple[list[str], list[list[str]]]:
    """Columns and rows for the terminal: on the low-frequency classes but for one column."""
    metric = ranking.metric
    columns = ["strategy", f"rare {metric}", "recall", f"other {metric}", "against baseline", "p", "rows"]
    return columns, [
        [
            f"{row.strategy} {_setting(row)}".strip(),
            number(row.low_frequency),
            number(row.recall),
            number(row.remaining),
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
    ends = f"[{number(difference.low, '+')}, {number(difference.high, '+')}]"
    if difference.estimate != difference.estimate:
        return "none", ""
    known = difference.low == difference.low
    return f"{number(difference.estimate, '+')} {ends if known else '(one run)'}", _p(difference.p)


def _p(p: float) -> str:
    if p != p:
        return ""
    return "<.001" if p < 0.001 else number(p)
