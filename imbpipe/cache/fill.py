"""Encode what the cache does not hold yet."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from imbpipe.cache.fill_text import fill_text
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.prompts import check_templates
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.text import TextEncoder
from imbpipe.errors import UsageError
from imbpipe.types import Progress

if TYPE_CHECKING:
    from imbpipe.cache.store import FeatureStore
    from imbpipe.extract.loop import Summary


def fill(
    store: "FeatureStore",
    dataset: Dataset,
    encoder: Encoder,
    *,
    batch_size: int = 64,
    dtype: str = "float32",
    workers: int | None = None,
    max_bad: float | None = None,
    rehash: bool = False,
    templates: Sequence[str] = (),
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> "Summary":
    """Encode the images of `dataset` that have no current features, then pack features.h5.

    By an encoder that reads, the names of the classes are encoded too. templates: captions with {} in the
    place of the class; none: those that are stored already, else those that suit the data set.

    What was committed stays when this is stopped or fails; the next call goes on from there.
    Raises StoreError: another process writes, the disk is full. DatasetError: more than `max_bad` (a
    share, 0 to 1) of the images cannot be read. UsageError: captions that cannot be used.
    """
    from imbpipe.extract.loop import extract
    from imbpipe.extract.spec import spec_of

    check_templates(templates)
    if templates and not isinstance(encoder, TextEncoder):
        raise UsageError(
            f"captions for {encoder.name!r}, which reads none", "Leave out --template, or name a CLIP encoder"
        )
    spec = spec_of(encoder, dtype=dtype)
    with store.writer(dataset, encoder.name, spec, batch_size=batch_size, rehash=rehash) as sink:
        summary = extract(
            encoder,
            sink,
            workers=workers,
            max_bad=max_bad,
            images=len(dataset),
            progress=progress,
            should_stop=should_stop,
        )
    if not summary.stopped:
        store.pack(dataset, encoder.name, spec)
        if isinstance(encoder, TextEncoder):
            fill_text(store, dataset, encoder, encoder.name, spec, templates)
    return summary
