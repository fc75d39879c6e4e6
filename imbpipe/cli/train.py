"""`imbpipe train`: heads over cached features, beside the baseline."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.output import bar, number, print_json, print_table, say, tell, tell_wrapped
from imbpipe.cli.tracking import open_tracker

if TYPE_CHECKING:
    from imbpipe.datasets.options import ReadOptions
    from imbpipe.experiments.grid import Grid
    from imbpipe.experiments.setting import Setting
    from imbpipe.experiments.table import Comparison, Estimate


@click.command(cls=options.StrategyCommand)
@click.option(
    "--strategy", "strategies", multiple=True, default=["baseline"], show_default=True, metavar="NAME",
    help="See `imbpipe strategies`; may be given several times.",
)  # fmt: skip
@options.dataset
@click.option("--encoder", metavar="NAME", help="Whose features to use; default: those that the cache holds.")
@click.option(
    "--key",
    metavar="HEX",
    help="Which of several sets of features by one encoder (see `imbpipe cache list`).",
)
@options.root
@options.cache
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Heads of a strategy.")
@options.split
@click.option(
    "--split-seed", default=0, show_default=True, type=click.IntRange(0), help="Which random split."
)
@click.option(
    "--epochs", default=20, show_default=True, type=click.IntRange(1), help="Passes over the sampled rows."
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(1), help="Rows of a step.")
@click.option(
    "--learning-rate",
    default=1e-3,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Adam's.",
)
@click.option(
    "--head", type=click.Choice(["mlp", "linear", "cosine"]), default="mlp", show_default=True,
    help="The paper's one hidden layer of 128, a linear layer, or cosine similarity.",
)  # fmt: skip
@click.option(
    "--beta", default=2.0, show_default=True, type=click.FloatRange(0, min_open=True),
    help="A class's threshold maximises F-beta on the validation images.",
)  # fmt: skip
@options.metric
@options.memory
@options.device
@options.label_reading
@options.track
@options.as_json
def train(cache: Path, metric: str, device: str, track: str | None, as_json: bool, **choice: Any) -> None:
    """Train heads over cached features and compare with the baseline.

    Nothing is encoded here, and no run is trained twice. The table gives the metric's mean over the
    low-frequency classes (training count at or below the 25th percentile) and over the remaining ones, on
    test images, with 95 % intervals over seeds, and the difference from the baseline with the same seed.

    \b
      imbpipe train --strategy undersample
      imbpipe train --strategy upweight --factor 5 --per label --seeds 10
      imbpipe train --strategy oversample --dataset planet --encoder clip --threshold 30000
    """
    from imbpipe.evaluation.metrics import METRICS
    from imbpipe.experiments.results import ResultStore
    from imbpipe.experiments.setting import read_settings
    from imbpipe.experiments.table import compare_with_baseline

    _ = METRICS[metric]
    log = open_tracker(track, cache)
    settings = read_settings(choice["strategies"], options.strategy_parameters(choice))
    grid = _grid(settings, cache, **choice)
    results = ResultStore(cache)
    with bar("training", "heads") as progress:
        grid.train(results, device=device, progress=progress)
    rows = compare_with_baseline(grid.results(results), metric)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        for line in heading(grid, metric):
            tell_wrapped(line)
        print_table(*comparison_table(rows, metric))
        tell(f"Every class and metric: pandas.read_parquet('{results.metrics_path(*grid.place, '').parent}')")
    if track is not None:
        from imbpipe.tracking.differences import of_table

        log([grid], results, of_table(rows, metric))


def _grid(
    settings: tuple["Setting", ...],
    cache: Path,
    *,
    dataset: str,
    root: Path | None,
    encoder: str | None,
    key: str | None,
    memory: int | None,
    reading: "ReadOptions",
    **how: Any,
) -> "Grid":
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.labels import rare_class_notes
    from imbpipe.datasets.load import load_dataset
    from imbpipe.datasets.splits import make_split
    from imbpipe.experiments.choose import features_of, tell_streamed
    from imbpipe.experiments.grid import Grid
    from imbpipe.experiments.material import gather
    from imbpipe.heads.run import HeadConfig, Protocol

    store = FeatureStore(cache, memory=memory)
    data = load_dataset(dataset, root=root, options=replace(reading, images_needed=False))
    features = features_of(data, encoder, key, store)
    store.check_fresh(data, features)
    tell_streamed(features, say)
    material = gather(data, features)
    for note in [*data.notes, *rare_class_notes(material.dataset)]:
        say(note)
    split = make_split(material.dataset, how["split_seed"], kind=how["split"])
    protocol = Protocol(HeadConfig(how["head"]), how["epochs"], how["batch_size"], how["learning_rate"])
    return Grid(material, split, settings, tuple(range(how["seeds"])), protocol, how["beta"])


def heading(grid: "Grid", metric: str) -> list[str]:
    """What a table was made from."""
    from imbpipe.evaluation.metrics import METRICS

    source = grid.material.source
    return [
        f"{source.dataset} ({grid.material.dataset.extent}), {source.encoder} "
        f"({source.spec['weights']} weights), {len(grid.seeds)} seeds, split {grid.split.name}",
        f"{metric}: {METRICS.summary(metric)}",
    ]


def comparison_table(rows: list["Comparison"], metric: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for the terminal: means and differences with their 95 % intervals."""
    columns = ["strategy", "classes", f"mean {metric}", "against baseline"]
    return columns, [
        [
            f"{row.strategy} {f'({row.setting})' if row.setting else ''}".strip(),
            f"{row.classes} {row.group}",
            _cell(row.value, ""),
            "" if row.difference is None else _cell(row.difference, "+"),
        ]
        for row in rows
    ]


def _cell(estimate: "Estimate", sign: str) -> str:
    if estimate.low != estimate.low:
        return f"{number(estimate.mean, sign)} (one seed)"
    ends = f"[{number(estimate.low, sign)}, {number(estimate.high, sign)}]"
    return f"{number(estimate.mean, sign)} {ends}"
