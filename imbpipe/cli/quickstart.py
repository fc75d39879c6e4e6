"""`imbpipe quickstart`: one command from a person's own images to the answer."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.compare import tell_ranking
from imbpipe.cli.forecast import expected, tell_forecast
from imbpipe.cli.output import bar, print_json, say, tell, tell_wrapped
from imbpipe.errors import ResultsError, UsageError

if TYPE_CHECKING:
    from imbpipe.datasets.options import ReadOptions
    from imbpipe.experiments.places import Surroundings


@click.command()
@click.argument("dataset", metavar="PATH")
@click.option(
    "--encoder",
    metavar="NAME",
    help="See `imbpipe encoders`; default: clip, or resnet18 without its weights.",
)
@click.option("--seeds", type=click.IntRange(1), help="Heads of a strategy on each split; default: 2.")
@click.option("--splits", type=click.IntRange(1), help="Divisions into training and test; default: 3.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("quickstart.html"),
    show_default=True, metavar="FILE", help="Where to put the page, and beside it the experiment as .toml.",
)  # fmt: skip
@click.option(
    "--open/--no-open", "show", default=None, help="Show the page in a browser; default: on a terminal."
)
@options.dry_run
@options.root
@options.cache
@options.memory
@options.device
@options.label_reading
@options.as_json
def quickstart(
    dataset: str, encoder: str | None, seeds: int | None, splits: int | None, out: Path, show: bool | None,
    dry_run: bool, root: Path | None, cache: Path, memory: int | None, device: str,
    reading: "ReadOptions", as_json: bool,
) -> None:  # fmt: skip
    """From your own images to the answer: encode, compare a short list, make the page.

    PATH is a folder with one subfolder a class, or a CSV or Parquet table of images and labels. Nothing is
    encoded or trained twice, and an interrupted call goes on where it stopped. The comparison is written
    as an experiment file, to be changed and run again with `imbpipe compare` and `imbpipe report`.

    \b
      imbpipe quickstart path/to/folder
      imbpipe quickstart path/to/labels.csv --encoder resnet18
    """
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.frequency import class_counts
    from imbpipe.datasets.labels import rare_class_notes
    from imbpipe.datasets.load import load_dataset
    from imbpipe.datasets.words import describe_imbalance
    from imbpipe.experiments.forecast import forecast
    from imbpipe.experiments.places import Surroundings
    from imbpipe.experiments.quick import (
        ENCODERS,
        hardly_measurable,
        percentile_for,
        quick_experiment,
        quick_file,
    )

    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out} is no name of a page", "Let it end in .html")
    data = load_dataset(dataset, root=root, options=replace(reading, images_needed=False))
    counts = class_counts(data.labels)
    percentile = percentile_for(counts)
    for line in [] if as_json else describe_imbalance(data, percentile):
        tell_wrapped(line)
    for note in [*data.notes, *rare_class_notes(data), *hardly_measurable(counts)]:
        say(note)
    source = str(Path(dataset).resolve()) if os.path.exists(dataset) else dataset
    how: dict[str, Any] = {"seeds": seeds, "splits": splits, "percentile": percentile}
    how = {name: value for name, value in how.items() if value is not None}
    names = (encoder,) if encoder else ENCODERS
    plan = quick_experiment(quick_file(source, data.task, names, _said(reading), **how))
    around = Surroundings(FeatureStore(cache, memory=memory), root, device, False, say, bar)
    if dry_run:
        tell_forecast(forecast(plan, around), as_json=as_json)
        return
    chosen = _encoder(names, around)
    text = quick_file(source, data.task, (chosen,), _said(reading), **how)
    file = out.with_suffix(".toml")
    _check_place(file, text)
    _run(text, file, out, around, as_json=as_json)
    if (sys.stdout.isatty() if show is None else show) and not as_json and not _open(out) and show:
        say(f"There is no browser to show it in: copy {out} to where one is; it needs nothing beside it.")


def _said(reading: "ReadOptions") -> Mapping[str, Any]:
    """What differs from the defaults, for the experiment file."""
    from imbpipe.datasets.options import STRICT
    from imbpipe.experiments.experiment import READING

    return {
        name: getattr(reading, name) for name in READING if getattr(reading, name) != getattr(STRICT, name)
    }


def _encoder(names: tuple[str, ...], around: "Surroundings") -> str:
    from imbpipe.encoders.load import load_encoder
    from imbpipe.experiments.choose import choose_encoder

    found = choose_encoder(names[:-1], device=around.device, say=around.say)
    return found.name if found else load_encoder(names[-1], device=around.device).name


def _check_place(file: Path, text: str) -> None:
    """Raises ResultsError: before any work, that the experiment would take another's place."""
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else text
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"cannot read {file}: {error}", "Choose another place with --out") from None
    if before != text:
        raise ResultsError(
            f"{file} holds another comparison",
            f"Run it with imbpipe compare {file}, delete it, or choose another place with --out",
        )


def _run(text: str, file: Path, out: Path, around: "Surroundings", *, as_json: bool) -> None:
    from imbpipe.cache.rates import PAGE, Rates
    from imbpipe.experiments.forecast import forecast
    from imbpipe.experiments.places import places
    from imbpipe.experiments.pool import pool_of
    from imbpipe.experiments.quick import quick_experiment
    from imbpipe.experiments.results import ResultStore
    from imbpipe.report.gather import studies_of
    from imbpipe.report.page import report_page
    from imbpipe.report.write import write_page

    plan = quick_experiment(text)
    results = ResultStore(around.store.root)
    [work] = forecast(plan, around)
    say(_step(1, "Encode", work.to_encode, work.images, f"images by {work.encoders[0]}", work.encode_seconds))
    [(data, features)] = places(plan, around)
    [work] = forecast(plan, around)
    strategies = len(plan.settings(data.name)) - 1
    what = f"heads ({strategies} strategies and the baseline)"
    say(_step(2, "Train", work.to_train, work.heads, what, work.train_seconds))
    pool = pool_of(plan, data, features)
    with bar("training", "heads") as progress:
        pool.train(results, device=around.device, progress=progress)
    rates, started = Rates(around.store.root), time.perf_counter()
    scores = work.heads * len(pool.grids[0].split.test) * len(data.class_names)
    told = _expected(rates.seconds(PAGE, scores))
    say(f"Step 3 of 3. Compare image by image, and make the page{told}.")
    studies, claims = studies_of(plan, around.store.root, around.root, say=say)
    write_page(file, text)
    command = f"imbpipe report {file} --out {out}"
    title = f"Which way of handling class imbalance helps on {data.name}?"
    write_page(out, report_page(studies, title=title, command=command, claims=claims))
    rates.note(PAGE, scores, time.perf_counter() - started)
    ranking = studies[0].ranking
    if as_json:
        where = {"dataset": data.name, "encoder": features.encoder, "metric": plan.metric}
        print_json(
            {**where, "page": out, "experiment": file, "ranking": [asdict(row) for row in ranking.rows]}
        )
        return
    tell_ranking(pool, ranking)
    tell("")
    tell(f"The page: {out}")
    tell(f"To compare more, add to {file} and run: imbpipe compare {file}")


def _step(number: int, verb: str, left: int, of: int, what: str, seconds: float | None) -> str:
    if not left:
        return f"Step {number} of 3. {verb} nothing: all {of:,} {what} are there already."
    return f"Step {number} of 3. {verb} {left:,} of {of:,} {what}{_expected(seconds)}."


def _expected(seconds: float | None) -> str:
    """Nothing where nothing was measured yet: a bar tells soon."""
    return "" if seconds is None else f": {expected(seconds)}"


def _open(page: Path) -> bool:
    """Whether it is shown in the person's browser, on a screen or by the program that BROWSER names."""
    import webbrowser

    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    screen = sys.platform in ("win32", "darwin") or any(map(os.environ.get, screens))
    return screen and webbrowser.open(page.resolve().as_uri())
