"""`imbpipe compare`: a whole experiment file."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from imbpipe.cli import options
from imbpipe.cli.output import bar, print_json, print_table, say
from imbpipe.cli.train import comparison_table, heading


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path), default=Path("experiments/paper.toml"))
@options.root
@options.cache
@options.metric
@options.device
@options.as_json
def compare(
    experiment: Path, root: Path | None, cache: Path, metric: str, device: str, as_json: bool
) -> None:
    """Run a whole experiment file: encode what is missing, train what is missing, tabulate.

    Where the file lists several data sets or encoders in the place of one, the first that is at hand is
    taken and the others are named. An interrupted comparison goes on where it stopped.

    \b
      imbpipe compare experiments/paper.toml
    """
    from imbpipe.cache.fill import fill
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.options import ReadOptions
    from imbpipe.errors import ResultsError
    from imbpipe.evaluation.metrics import METRICS
    from imbpipe.experiments.choose import choose_dataset, choose_encoder, choose_features
    from imbpipe.experiments.compare import grid_of
    from imbpipe.experiments.experiment import read_experiment
    from imbpipe.experiments.results import ResultStore
    from imbpipe.experiments.table import compare_with_baseline

    _ = METRICS[metric]
    plan = read_experiment(experiment)
    store, results = FeatureStore(cache), ResultStore(cache)
    encoders = {names: choose_encoder(names, device=device, say=say) for names in plan.encoders}
    report: list[dict[str, Any]] = []
    for names in plan.datasets:
        with bar("drawing", "images") as progress:
            data = choose_dataset(names, root, ReadOptions(progress=progress), say=say)
        for alternatives, encoder in encoders.items():
            if encoder is not None:
                with bar(f"{data.name} by {encoder.name}", "images") as progress:
                    summary = fill(store, data, encoder, progress=progress)
                for path, reason in summary.quarantined:
                    say(f"Set aside: {path}: {reason}")
            features = choose_features(alternatives, data, store)
            if features is None:
                continue
            grid = grid_of(plan, data, features)
            with bar(f"{data.name} by {features.encoder}", "heads") as progress:
                grid.train(results, device=device, progress=progress)
            rows = compare_with_baseline(grid.results(results), metric)
            report += [{"dataset": data.name, "encoder": features.encoder, **asdict(row)} for row in rows]
            if not as_json:
                click.echo(f"\n{heading(grid, metric)}")
                print_table(*comparison_table(rows))
    if not report:
        raise ResultsError("none of the experiment's encoders can be had", "See: imbpipe extract --help")
    if as_json:
        print_json(report)
