"""Parts of a data set that are encoded apart from each other, each by a command or job of its own."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imbpipe.cache.fill import fill, publish
from imbpipe.cache.freshness import pending
from imbpipe.cache.growth import Growth
from imbpipe.cache.rates import Rates, encoding
from imbpipe.cache.spec import describe_differences
from imbpipe.cache.store import FeatureStore
from imbpipe.cache.worker import Worker
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.encoders.recipe import Recipe
from imbpipe.errors import ClusterError
from imbpipe.extract.describe import Description, describe
from imbpipe.extract.engine import Engine
from imbpipe.extract.loop import Summary
from imbpipe.types import Progress


@dataclass(frozen=True)
class EncodeShard:
    """A job that loads data set and encoder, and encodes its share of the batches.

    source, root, reading: as `load_dataset` takes them. how: further arguments of `fill`.
    """

    store: FeatureStore
    source: str
    root: Path | None
    reading: ReadOptions
    recipe: Recipe
    shard: Worker
    how: Mapping[str, Any]

    def __call__(self) -> tuple[Description, Summary]:
        data = load_dataset(self.source, root=self.root, options=self.reading)
        encoder = self.recipe.load()
        summary = fill(self.store, data, encoder, shard=self.shard, **self.how)
        return describe(encoder, self.how.get("dtype", "float32")), summary


def fill_by_shards(
    dataset: Dataset,
    whole: EncodeShard,
    engine: Engine,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Description, Summary]:
    """`fill`, in as many jobs as the engine has slots.

    whole: the job that would encode everything. dataset: what it encodes.
    Raises what `fill` raises. ClusterError: the machines cannot do it, or differ. KeyboardInterrupt: it was
    to stop; what was encoded stays.
    """
    started = time.monotonic()
    store, name, weights = whole.store, whole.recipe.name, whole.recipe.weights
    kind = weights if weights in ("pretrained", "random") else "file"
    total = pending(store.root, dataset, name, weights=kind, dtype=whole.how.get("dtype", ""))
    growth = Growth(store.root, dataset.name, name)
    jobs = [replace(whole, shard=Worker(number, engine.slots)) for number in range(engine.slots)]
    found: list[tuple[Description, Summary]] = []
    with closing(engine.run(jobs)) as results:
        for result in results:
            if result is not None:
                found.append(result)
                _check_same(found)
            if progress:
                progress(min(growth.rows(), total), total)
            if should_stop is not None and should_stop():
                raise KeyboardInterrupt
    if progress:
        progress(total, total)
    about = found[0][0]
    summary = _sum([part for _, part in found], time.monotonic() - started)
    Rates(store.root).note(encoding(name, engine.name), summary.encoded, summary.seconds)
    publish(store, dataset, name, about.spec, whole.how.get("max_bad"))
    return about, summary


def _check_same(found: list[tuple[Description, Summary]]) -> None:
    """Raises ClusterError: two jobs made other features."""
    differences = describe_differences(found[0][0].spec, found[-1][0].spec)
    if differences:
        raise ClusterError(
            f"one node encoded with other {differences}",
            "Bring all nodes to the same packages and devices, or choose with --backend and --device",
        )


def _sum(parts: list[Summary], seconds: float) -> Summary:
    return Summary(
        encoded=sum(part.encoded for part in parts),
        quarantined=tuple(image for part in parts for image in part.quarantined),
        seconds=seconds,
        stopped=False,
        waiting=sum(part.waiting for part in parts) / len(parts),
    )
