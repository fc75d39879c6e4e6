"""Encode what the cache does not hold yet."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from imbpipe.cache.fill_text import fill_text
from imbpipe.cache.inventory import stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import read_plan
from imbpipe.cache.rates import Rates, encoding
from imbpipe.cache.spec import Spec
from imbpipe.cache.worker import Worker
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.prompts import check_templates
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.text import TextEncoder
from imbpipe.errors import DatasetError, UsageError
from imbpipe.types import Progress

if TYPE_CHECKING:
    from imbpipe.cache.store import FeatureStore
    from imbpipe.extract.loop import Summary

WHOLE = Worker()


def fill(
    store: "FeatureStore",
    dataset: Dataset,
    encoder: Encoder,
    *,
    batch_size: int | Literal["auto"] | None = None,
    dtype: str = "float32",
    workers: int | None = None,
    max_bad: float | None = None,
    rehash: bool = False,
    templates: Sequence[str] = (),
    shard: Worker = WHOLE,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> "Summary":
    """Encode the images of `dataset` that have no current features, then pack features.h5.

    By an encoder that reads, the names of the classes are encoded too. templates: captions with {} in the
    place of the class; none: those that are stored already, else those that suit the data set.

    What was committed stays when this is stopped or fails; the next call goes on from there.
    batch_size: images encoded together; None: as the store began, a new one with the device's usual size;
        "auto": likewise, a new one with the size that is fastest now.
    shard: encode this part of the batches alone, and pack nothing; the first part has the class names.
    Raises StoreError: another process writes, the disk is full. DatasetError: more than `max_bad` (a
    share, 0 to 1) of the images cannot be read. UsageError: captions that cannot be used, shards that would
    each choose a batch size.
    """
    from imbpipe.extract.batch_size import best_batch_size, usual_batch_size
    from imbpipe.extract.loop import extract
    from imbpipe.extract.spec import spec_of

    reads = isinstance(encoder, TextEncoder)
    check_captions(encoder.name, templates, reads=reads)
    if batch_size == "auto" and shard.count > 1:
        raise UsageError("shards that choose a batch size each would differ", "Give --batch-size a number")
    spec = spec_of(encoder, dtype=dtype)
    size = batch_size if isinstance(batch_size, int) else begun_with(store, dataset, encoder.name, spec)
    if size is None:
        size = best_batch_size(encoder) if batch_size == "auto" else usual_batch_size(encoder)
    with store.writer(
        dataset, encoder.name, spec,
        batch_size=size, rehash=rehash, worker=shard.number, workers=shard.count,
    ) as sink:  # fmt: skip
        summary = extract(
            encoder,
            sink,
            workers=workers,
            max_bad=max_bad,
            images=len(dataset),
            progress=progress,
            should_stop=should_stop,
        )
    del sink  # its plan is read anew below
    Rates(store.root).note(encoding(encoder.name, encoder.device), summary.encoded, summary.seconds)
    if summary.stopped:
        return summary
    if shard.count == 1:
        publish(store, dataset, encoder.name, spec, max_bad)
    elif max_bad is not None:
        check_bad(Folder.of(store.root, dataset.name, encoder.name, spec), spec, max_bad)
    if isinstance(encoder, TextEncoder) and shard.number == 0:
        fill_text(store, dataset, encoder, encoder.name, spec, templates)
    return summary


def publish(store: "FeatureStore", dataset: Dataset, encoder: str, spec: Spec, max_bad: float | None) -> None:
    """Pack what is encoded. Raises DatasetError: too much was set aside. StoreError: as `pack`."""
    if max_bad is not None:
        check_bad(Folder.of(store.root, dataset.name, encoder, spec), spec, max_bad)
    store.pack(dataset, encoder, spec)


def check_captions(encoder: str, templates: Sequence[str], *, reads: bool) -> None:
    """Raises UsageError: templates that cannot be used, or for an encoder that reads none."""
    check_templates(templates)
    if templates and not reads:
        raise UsageError(
            f"captions for {encoder!r}, which reads none", "Leave out --template, or name a CLIP encoder"
        )


def begun_with(store: "FeatureStore", dataset: Dataset, encoder: str, spec: Spec) -> int | None:
    """The batch size of the plan that the folder holds: other batches would give other last bits."""
    plan = read_plan(Folder.of(store.root, dataset.name, encoder, spec).plan)
    return plan.batch_size if plan else None


def check_bad(folder: Folder, spec: Spec, max_bad: float) -> None:
    """Count also what earlier runs set aside: a run ends at too many that it finds itself.

    Raises DatasetError: more than the share `max_bad`.
    """
    stock = stored_inventory(folder, spec)
    if stock is not None and len(stock.quarantined) > max_bad * len(stock.plan):
        first = next(iter(stock.quarantined.values()))
        raise DatasetError(
            f"{len(stock.quarantined)} of {len(stock.plan)} images are set aside, more than --max-bad "
            f"{max_bad:g} allows (first {first['path']}: {first['reason']})",
            "Mend or remove them, or allow more; what was encoded is kept",
        )
