"""Encode on many machines at once: plan here, encode there, pack here."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from imbpipe.cache.fill import begun_with, check_captions, publish
from imbpipe.cache.fill_text import fill_text
from imbpipe.cache.growth import Growth
from imbpipe.cache.inventory import stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.pieces import Piece, open_pieces
from imbpipe.cache.rates import Rates, encoding
from imbpipe.cache.spec import Spec, describe_differences
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.recipe import Recipe
from imbpipe.encoders.text import TextEncoder
from imbpipe.errors import ClusterError
from imbpipe.extract.describe import Description, describe
from imbpipe.extract.engine import Engine, Job
from imbpipe.extract.loop import Summary, extract, too_many_bad
from imbpipe.extract.spec import spec_of
from imbpipe.types import Progress

PIECES_A_SLOT = 16
"""So that a slow machine, or one that is lost, holds the others up for a sixteenth of the time at most."""


def spread(
    store: FeatureStore,
    dataset: Dataset,
    recipe: Recipe,
    engine: Engine,
    *,
    batch_size: int | Literal["auto"] | None = None,
    dtype: str = "float32",
    workers: int | None = None,
    max_bad: float | None = None,
    rehash: bool = False,
    templates: Sequence[str] = (),
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Description, Summary]:
    """`fill`, computed by the machines of `engine`, whose encoders have to be one and the same.

    Features go from the machine that computed them into the store, on a file system that all share.
    Raises what `fill` raises. ClusterError: the machines cannot do it.
    """
    started = time.monotonic()
    about = _one(engine, Describe(recipe, dtype, batch_size), should_stop)
    check_captions(about.name, templates, reads=about.reads)
    size = batch_size if isinstance(batch_size, int) else begun_with(store, dataset, about.name, about.spec)
    stock, pieces = open_pieces(
        store.root, dataset, about.name, about.spec, PIECES_A_SLOT * engine.slots,
        batch_size=size or about.batch_size, rehash=rehash,
    )  # fmt: skip
    total = sum(int(piece.wanted.sum()) for piece in pieces)
    growth = Growth(store.root, dataset.name, about.name)
    jobs = [EncodePiece(recipe, about.spec, piece, workers, max_bad, len(dataset)) for piece in pieces]
    receipts: list[Receipt] = []
    stopped = False
    with closing(engine.run(jobs)) as results:
        for receipt in results:
            if receipt is not None:
                receipts.append(receipt)
                _check_bad(receipts, max_bad, len(dataset))
            if progress:
                progress(min(growth.rows(), total), total)
            if stopped := should_stop is not None and should_stop():
                break
    if progress and not stopped:
        progress(total, total)
    summary = _summary(receipts, time.monotonic() - started, stopped)
    if stopped:
        now = stored_inventory(Folder.of(store.root, dataset.name, about.name, about.spec), about.spec)
        return about, replace(summary, encoded=now.done - stock.done if now else 0)
    Rates(store.root).note(encoding(about.name, engine.name), summary.encoded, summary.seconds)
    publish(store, dataset, about.name, about.spec, max_bad)
    if about.reads:
        text = EncodeText(recipe, about.spec, store, _without_images(dataset), tuple(templates))
        _one(engine, text, should_stop)
    return about, summary


def _one(engine: Engine, job: Job[Any], should_stop: Callable[[], bool] | None) -> Any:
    """What a single job returns. Raises KeyboardInterrupt: it was to stop."""
    with closing(engine.run([job])) as results:
        for answer in results:
            if answer is not None:
                return answer
            if should_stop is not None and should_stop():
                raise KeyboardInterrupt
    return None


@dataclass(frozen=True)
class Receipt:
    """What came of a piece. encoded: rows, `found` more by an earlier attempt. The others: as in Summary."""

    encoded: int
    found: int
    quarantined: tuple[tuple[str, str], ...]
    seconds: float
    waiting: float


@dataclass(frozen=True)
class Describe:
    """A job that says what the encoder is there."""

    recipe: Recipe
    dtype: str
    batch_size: int | Literal["auto"] | None

    def __call__(self) -> Description:
        return describe(_loaded(self.recipe), self.dtype, self.batch_size)


@dataclass(frozen=True)
class EncodePiece:
    """A job that encodes what no earlier attempt at the piece has stored.

    workers, max_bad, images: as `extract` takes them.
    """

    recipe: Recipe
    spec: Spec
    piece: Piece
    workers: int | None
    max_bad: float | None
    images: int

    def __call__(self) -> Receipt:
        encoder = _same(_loaded(self.recipe), self.spec)
        writer, found = self.piece.open(self.spec)
        with writer as sink:
            done = extract(encoder, sink, workers=self.workers, max_bad=self.max_bad, images=self.images)
        return Receipt(done.encoded, found, done.quarantined, done.seconds, done.waiting)


@dataclass(frozen=True)
class EncodeText:
    """A job that encodes the class names."""

    recipe: Recipe
    spec: Spec
    store: FeatureStore
    dataset: Dataset
    templates: tuple[str, ...]

    def __call__(self) -> bool:
        encoder = _loaded(self.recipe)
        assert isinstance(encoder, TextEncoder)
        fill_text(self.store, self.dataset, encoder, self.recipe.name, self.spec, self.templates)
        return True


@lru_cache(maxsize=1)
def _loaded(recipe: Recipe) -> Encoder:
    """Once a process, which runs one job after the other."""
    return recipe.load()


def _same(encoder: Encoder, spec: Spec) -> Encoder:
    """Raises ClusterError: here the encoder is another one than where the spec was made."""
    differences = describe_differences(spec, spec_of(encoder, spec["dtype"]))
    if differences:
        raise ClusterError(
            f"one node would encode with other {differences}",
            "Bring all nodes to the same packages and devices, or choose with --backend and --device",
        )
    return encoder


def _without_images(dataset: Dataset) -> Dataset:
    none = np.zeros((0, len(dataset.class_names)), dtype=bool)
    return replace(dataset, ids=(), images=(), labels=none, official=None, groups=())


def _check_bad(receipts: Sequence[Receipt], max_bad: float | None, images: int) -> None:
    bad = [image for receipt in receipts for image in receipt.quarantined]
    if max_bad is not None and len(bad) > max_bad * images:
        raise too_many_bad(bad, images, max_bad)


def _summary(receipts: Sequence[Receipt], seconds: float, stopped: bool) -> Summary:
    """Of a whole run, whose machines waited for images for the same share of the time as their pieces."""
    busy = sum(receipt.seconds for receipt in receipts)
    waiting = sum(receipt.waiting for receipt in receipts)
    return Summary(
        encoded=sum(receipt.encoded + receipt.found for receipt in receipts),
        quarantined=tuple(image for receipt in receipts for image in receipt.quarantined),
        seconds=seconds,
        stopped=stopped,
        waiting=seconds * waiting / busy if busy else 0.0,
    )
