"""`imbpipe cache`: look after the cached features."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.cache_exchange import export, import_
from imbpipe.cli.output import print_json, print_table, say, tell
from imbpipe.errors import EXIT_INPUT, EXIT_QUARANTINED, ImbpipeError, StoreError, show

if TYPE_CHECKING:
    from imbpipe.cache.entries import Entry


@click.group()
def cache() -> None:
    """Look after the cached features."""


def _choice(command: Any) -> Any:
    """Which entries: all, or those of a data set, an encoder, a key."""
    command = click.option("--key", metavar="HEX", help="The first characters of its key.")(command)
    command = click.option("--encoder", metavar="NAME", help="Only features by this encoder.")(command)
    return click.option("--dataset", metavar="NAME", help="Only features of this data set.")(command)


def _entries(cache: Path, dataset: str | None, encoder: str | None, key: str | None) -> list["Entry"]:
    from imbpipe.cache.store import FeatureStore

    found = [
        entry
        for entry in FeatureStore(cache).entries()
        if dataset in (None, entry.dataset)
        and encoder in (None, entry.encoder)
        and entry.key.startswith(key or "")
    ]
    if not found and (dataset or encoder or key):
        raise StoreError(f"no such features in {cache}", "See: imbpipe cache list")
    return found


@cache.command("list")
@options.cache
@_choice
@options.as_json
def list_(cache: Path, as_json: bool, **which: Any) -> None:
    """List the features there are."""
    entries = _entries(cache, **which)
    if as_json:
        print_json([{**asdict(entry), "state": entry.state} for entry in entries])
        return
    if not entries:
        say(f"No features in {cache}. Run: imbpipe extract --encoder resnet18")
        return
    print_table(
        ["data set", "encoder", "weights", "key", "rows", "dim", "dtype", "MB", "state"],
        [
            [entry.dataset, entry.encoder, entry.weights, entry.key[:12], str(entry.rows), str(entry.dim),
             entry.dtype, f"{entry.bytes / 1e6:.1f}", entry.state]
            for entry in entries
        ],
    )  # fmt: skip


@cache.command()
@options.cache
@_choice
@options.as_json
def info(cache: Path, as_json: bool, **which: Any) -> None:
    """Show what was encoded and how."""
    from imbpipe.cache.spec import flat

    entries = _entries(cache, **which)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        click.secho(show(f"{entry.path}: {entry.state}"), bold=True)
        print_table(["field", "value"], [[name, str(value)] for name, value in flat(entry.spec).items()])


@cache.command()
@options.cache
@_choice
@options.max_bad
@options.as_json
def pack(cache: Path, max_bad: float | None, as_json: bool, **which: Any) -> None:
    """Publish what shards have encoded as one HDF5 file, once nothing is missing.

    Where something is missing, the exit status is 1 and the message says which shard has to run.
    """
    from imbpipe.cache.entries import read_entry
    from imbpipe.cache.fill import check_bad
    from imbpipe.cache.layout import Folder
    from imbpipe.cache.pack import pack_in_child

    entries, problems = [], []
    for entry in _entries(cache, **which):
        folder = Folder(entry.path)
        try:
            if max_bad is not None:
                check_bad(folder, folder.read_spec(), max_bad)
            pack_in_child(folder)
        except ImbpipeError as error:
            problems.append(error)
        entries.append(read_entry(entry.path))
    if as_json:
        print_json([{**asdict(entry), "state": entry.state} for entry in entries])
    for entry in [] if as_json else entries:
        tell(f"{entry.path}: {entry.state}")
    for problem in problems:
        say(f"Error: {problem}")
    if problems:
        sys.exit(EXIT_INPUT)
    if any(entry.quarantined for entry in entries):
        sys.exit(EXIT_QUARANTINED)


@cache.command()
@options.cache
@_choice
@click.option("--images", is_flag=True, help="Also compare every image's bytes with what was encoded.")
@click.option("--recompute", default=0, type=click.IntRange(0), metavar="N", help="Also encode N rows again.")
@click.option(
    "--weights", default="pretrained", show_default=True, help="For --recompute: see `imbpipe extract`."
)
@options.as_json
def verify(cache: Path, images: bool, recompute: int, weights: str, as_json: bool, **which: Any) -> None:
    """Check every stored row, and on request the images behind them.

    The exit status is 1 when something is wrong.
    """
    from imbpipe.cache.spec import cache_option
    from imbpipe.cache.verify import verify as verify_entry

    results = [
        verify_entry(
            entry.path,
            images=images,
            recompute=recompute,
            encode=_encode_with(entry, weights) if recompute and not entry.problem else None,
        )
        for entry in _entries(cache, **which)
    ]
    if as_json:
        print_json([{**asdict(result), "ok": result.ok} for result in results])
    for result in [] if as_json else results:
        facts = [f"{result.rows} rows verified"]
        facts += [f"{result.images} images compared, {result.absent} not here"] if images else []
        if recompute:
            facts.append(
                f"{result.recomputed} rows encoded again, largest difference {result.difference:.1e}, "
                f"{result.passed_over} whose image is not here"
            )
        tell(f"{result.path}: {'; '.join([*facts, *(result.problems or ['no problem'])])}")
    if not all(result.ok for result in results):
        say(f"Run: imbpipe cache repair{cache_option(cache)}, then the extraction again.")
        sys.exit(EXIT_INPUT)


def _encode_with(entry: "Entry", weights: str) -> Any:
    from imbpipe.cache.spec import IMPORTED, describe_differences
    from imbpipe.encoders.load import load_encoder
    from imbpipe.extract.images import encode_images
    from imbpipe.extract.spec import compute_of, spec_of

    if entry.weights == IMPORTED:
        raise StoreError(
            f"{entry.path} was imported, and nothing here can encode it again", "Leave out --recompute"
        )
    encoder = load_encoder(
        entry.encoder,
        weights="random" if entry.weights == "random" else weights,
        compute=compute_of(entry.spec),
    )
    differences = describe_differences(entry.spec, spec_of(encoder, dtype=entry.dtype))
    if differences:
        raise StoreError(
            f"{entry.path} cannot be encoded again: it was made with other {differences}",
            "Give --weights what it was made with, or leave out --recompute",
        )
    return lambda paths: encode_images(encoder, paths)


@cache.command()
@options.cache
@_choice
@options.as_json
def repair(cache: Path, as_json: bool, **which: Any) -> None:
    """Keep what is sound of damaged features, so that only the rest is encoded again."""
    from imbpipe.cache.repair import repair as repair_entry

    results = [repair_entry(entry.path) for entry in _entries(cache, **which)]
    if as_json:
        print_json([asdict(result) for result in results])
        return
    for result in results:
        todo = "; run the extraction again" if result.needs_extraction else ""
        tell(f"{result.path}: {result.kept} rows sound, {len(result.lost)} lost{todo}")
        for path in result.aside:
            tell(f"  set aside: {path}")


cache.add_command(export)
cache.add_command(import_)


@cache.command()
@options.cache
@_choice
@click.option(
    "--remove", is_flag=True, help="Remove the features named by --dataset, --encoder or --key, whole."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def gc(cache: Path, remove: bool, dry_run: bool, **which: Any) -> None:
    """Remove left-over temporary files and the journals of complete features."""
    from imbpipe.cache.gc import collect

    if remove and not any(which.values()):
        raise click.UsageError("--remove needs --dataset, --encoder or --key, so that not everything goes.")
    done = collect(cache, remove=_entries(cache, **which) if remove else (), dry_run=dry_run)
    for path in done.paths:
        tell(str(path))
    say(f"{done.bytes / 1e6:.1f} MB {'would be' if dry_run else ''} freed.".replace("  ", " "))
    for path in done.busy:
        say(f"Left alone, in use: {path}")
