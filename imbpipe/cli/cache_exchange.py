"""`imbpipe cache export` and `imbpipe cache import`: features for and from other programs."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imbpipe.cli import options
from imbpipe.cli.output import bar, print_json, say, tell, tell_wrapped

if TYPE_CHECKING:
    from imbpipe.datasets.options import ReadOptions


@click.command()
@options.cache
@click.option("--dataset", default="sample", show_default=True, metavar="NAME", help="Of this data set.")
@click.option("--encoder", required=True, metavar="NAME", help="By this encoder.")
@click.option("--key", metavar="HEX", help="Which of several sets of features by one encoder.")
@click.option(
    "--format", "form", required=True, metavar="NAME",
    help="npy, parquet, h5ad, safetensors, projector, faiss, clip-retrieval.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.argument("target", type=click.Path(path_type=Path))
def export(
    cache: Path, dataset: str, encoder: str, key: str | None, form: str, force: bool, target: Path
) -> None:
    """Write features for other programs, to files named TARGET plus the format's endings.

    Of clip-retrieval TARGET is a folder; its features have length 1 and are in float16, as that program
    has them. All other formats keep them as they are.
    """
    from imbpipe.cache.export import export as export_features
    from imbpipe.cache.store import FeatureStore

    done = export_features(FeatureStore(cache).load(dataset, encoder, key=key), form, target, force=force)
    for path in done.paths:
        tell(str(path))


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@options.dataset
@click.option(
    "--encoder", required=True, metavar="NAME",
    help="What to call whatever made them; the cache knows them as imported:NAME.",
)  # fmt: skip
@click.option(
    "--ids", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Of a .npy file: an id or path a line, or a .json, .csv or .parquet; default: the one beside it.",
)  # fmt: skip
@click.option("--id-column", metavar="NAME", help="Column of a table that names the rows; default: detected.")
@options.root
@options.cache
@options.label_reading
@options.as_json
def import_(
    source: Path, dataset: str, encoder: str, ids: Path | None, id_column: str | None,
    root: Path | None, cache: Path, reading: "ReadOptions", as_json: bool,
) -> None:  # fmt: skip
    """Take features that you have already: clip-retrieval's folder, or a .npy file with ids.

    Rows are joined to the data set's images by id, path or file name. They are then trained on like any
    others; images need not be there.

    \b
      imbpipe cache import laion/ --dataset labels.csv --encoder my-clip
      imbpipe cache import features.npy --ids ids.txt --dataset labels.csv --encoder dinov3
      imbpipe train --dataset labels.csv --encoder imported:dinov3 --strategy oversample
    """
    from imbpipe.cache.importing import import_features
    from imbpipe.cache.sources import read_source
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.load import load_dataset

    data = load_dataset(dataset, root=root, options=replace(reading, images_needed=False))
    found = read_source(source, ids=ids, id_column=id_column)
    with bar("importing", "rows") as progress:
        done = import_features(
            FeatureStore(cache), data, found, encoder, allow_missing=reading.allow_missing, progress=progress
        )
    if as_json:
        print_json({"dataset": data.name, **asdict(done)})
        return
    length = "of length 1" if done.spec["normalised"] else "of any length"
    tell_wrapped(
        f"{data.name}, {done.encoder}: {done.rows:,} images have features of {found.dim} dimensions "
        f"({length}, {found.dtype} kept as {done.spec['dtype']}), joined by {done.joined_by}."
    )
    if done.missing:
        say(f"Left out: {done.missing:,} images have no row in {source}.")
    if done.unused:
        say(f"Not used: {done.unused:,} rows of {source} are of no image of {data.name}.")
