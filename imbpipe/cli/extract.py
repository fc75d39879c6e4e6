"""`imbpipe extract`: encode every image once."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.encoded import Encoded, tell_encoded
from imbpipe.cli.engines import Where, where
from imbpipe.cli.forecast import expected
from imbpipe.cli.output import bar, print_json, say, tell

if TYPE_CHECKING:
    from imbpipe.datasets.dataset import Dataset
    from imbpipe.datasets.options import ReadOptions
    from imbpipe.encoders.recipe import Recipe
    from imbpipe.extract.describe import Description
    from imbpipe.extract.loop import Summary
    from imbpipe.types import Progress

    Done = tuple[Description, Summary]
    Runner = Callable[[Dataset, Progress, Callable[[], bool]], Done]


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """True once SIGTERM, SIGUSR1 or Ctrl-C has come; a second Ctrl-C ends the program at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    before = {
        number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    }
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
@options.dataset
@click.option(
    "--encoder", default="clip", show_default=True, metavar="NAME",
    help="See `imbpipe encoders`; also open_clip:MODEL/PRETRAINED, torchvision:NAME, timm:NAME[@SIZE].",
)  # fmt: skip
@click.option(
    "--weights", default="pretrained", show_default=True, metavar="pretrained|random|FILE",
    help="The official weights, a local .safetensors or .pth file, or seeded random numbers.",
)  # fmt: skip
@options.root
@options.cache
@options.device
@click.option(
    "--batch-size", type=options.NumberOrAuto(), metavar="N|auto",
    help="Images encoded together; default: 16 on a CPU, 256 on a GPU; auto: the fastest, by trying for "
    "seconds. Features that were begun keep theirs, since others would differ in last bits.",
)  # fmt: skip
@click.option(
    "--dtype", default="float32", show_default=True, type=click.Choice(["float32", "float16"]),
    help="How features are stored.",
)  # fmt: skip
@click.option(
    "--workers", type=options.NumberOrAuto(), metavar="N|auto",
    help="Threads that read and decode; default: auto, as many as keep the encoder busy.",
)  # fmt: skip
@options.compute
@options.max_bad
@click.option(
    "--template", "templates", multiple=True, metavar="TEXT",
    help="CLIP: a caption with {} for the class name, as 'a photo of a {}.'; several are averaged.",
)  # fmt: skip
@click.option("--rehash", is_flag=True, help="Trust no modification time: read every image again.")
@where
@options.dry_run
@options.label_reading
@options.as_json
def extract(
    dataset: str, encoder: str, weights: str, root: Path | None, cache: Path, device: str,
    compute: Any, reading: Any, where: Where, dry_run: bool, as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Encode every image once with a frozen encoder into one HDF5 file.

    A second call encodes only what is new or changed; after an interruption (exit status 75) it goes on
    where that stopped. Images that cannot be read are set aside, named at the end, and make the exit
    status 3.

    \b
      imbpipe extract --encoder resnet18
      imbpipe extract --encoder clip --dataset planet --root /data
      imbpipe extract --encoder clip --dataset my/folder --weights ViT-B-32.pt
    """
    from imbpipe.cache.entries import read_entry
    from imbpipe.cache.layout import Folder
    from imbpipe.datasets.load import load_dataset
    from imbpipe.encoders.recipe import Recipe

    if how["workers"] == "auto":
        how["workers"] = None
    labels = load_dataset(dataset, root=root, options=replace(reading, images_needed=False))
    if dry_run:
        _tell_work(labels, encoder, weights, device, cache, how["dtype"], where, as_json=as_json)
        return
    recipe = Recipe(encoder, weights, device, compute)
    with _runner(where, recipe, cache, dataset, root, reading, how) as run:
        with bar("drawing", "images") as progress:
            data = load_dataset(dataset, root=root, options=replace(reading, progress=progress))
        for note in data.notes:
            say(note)
        with bar("encoding", "images") as progress, stop_flag() as stopped:
            about, summary = run(data, progress, stopped)
    entry = read_entry(Folder.of(cache, data.name, about.name, about.spec).path)
    sys.exit(tell_encoded(Encoded(data.name, about, summary, entry, where.shard), as_json=as_json))


@contextmanager
def _runner(
    where: Where, recipe: "Recipe", cache: Path, dataset: str, root: Path | None, reading: "ReadOptions",
    how: dict[str, Any],
) -> Iterator["Runner"]:  # fmt: skip
    """What encodes, wherever that is. The encoder, or the machines, are there before an image is drawn."""
    from imbpipe.cache.fill import fill
    from imbpipe.cache.shards import EncodeShard, fill_by_shards
    from imbpipe.cache.spread import spread
    from imbpipe.cache.store import FeatureStore
    from imbpipe.cache.worker import Worker
    from imbpipe.extract.describe import describe

    store = FeatureStore(cache)
    if where.engine == "local":
        network = recipe.load()
        shard = Worker(*where.shard) if where.shard else Worker()

        def here(data: "Dataset", progress: "Progress", stopped: Callable[[], bool]) -> "Done":
            told: dict[str, Any] = {"progress": progress, "should_stop": stopped}
            summary = fill(store, data, network, shard=shard, **told, **how)
            return describe(network, how["dtype"]), summary

        yield here
        return
    with where.opened() as engine:

        def there(data: "Dataset", progress: "Progress", stopped: Callable[[], bool]) -> "Done":
            told: dict[str, Any] = {"progress": progress, "should_stop": stopped}
            if where.engine == "ray":
                return spread(store, data, recipe, engine, **told, **how)
            whole = EncodeShard(store, dataset, root, reading, recipe, Worker(), how)
            return fill_by_shards(data, whole, engine, **told)

        yield there


def _tell_work(
    data: "Dataset", encoder: str, weights: str, device: str, cache: Path, dtype: str, where: Where,
    *, as_json: bool,
) -> None:  # fmt: skip
    from imbpipe.cache.freshness import pending
    from imbpipe.cache.rates import Rates, encoding
    from imbpipe.encoders.frozen import resolve_device

    kind = weights if weights in ("pretrained", "random") else "file"
    left = pending(cache, data, encoder, weights=kind, dtype=dtype)
    place = resolve_device(device) if where.engine == "local" else where.engine
    seconds = Rates(cache).seconds(encoding(encoder, place), left)
    if as_json:
        print_json({"dataset": data.name, "encoder": encoder, "images": len(data), "to_encode": left,
                    "encode_seconds": seconds})  # fmt: skip
        return
    time = f", {expected(seconds)}" if left else ""
    if where.shard:
        time += f", by all {where.shard[1]} shards together"
    tell(f"{data.name} by {encoder}: would encode {left:,} of {len(data):,} images{time}.")
