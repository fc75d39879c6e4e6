"""What a cache holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbpipe.cache.inventory import stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import key_of, weights_kind
from imbpipe.errors import StoreError


@dataclass(frozen=True, eq=False)
class Entry:
    """Features of one data set by one encoder under one spec.

    rows: stored. images: in the data set. quarantined: could not be read. bytes: of all files.
    complete: features.h5 holds every image that could be read.
    weights: "random" or "trained". problem: what keeps it from being used, else empty.
    """

    dataset: str
    encoder: str
    key: str
    rows: int
    images: int
    quarantined: int
    dim: int
    dtype: str
    weights: str
    bytes: int
    complete: bool
    path: Path
    spec: dict[str, Any]
    problem: str = ""

    @property
    def state(self) -> str:
        """ "complete", "partial 300 of 1000", with ", 2 quarantined"; or the problem."""
        if self.problem:
            return self.problem
        aside = f", {self.quarantined} quarantined" if self.quarantined else ""
        return ("complete" if self.complete else f"partial {self.rows} of {self.images}") + aside


def list_entries(root: Path) -> list[Entry]:
    """Every folder under `root` that holds a part of the store, in order of its path."""
    names = ("SPEC.json", "PLAN.json", "features.h5")
    return [
        read_entry(path)
        for path in sorted({path.parent for name in names for path in root.glob(f"*/*/{name}")})
    ]


def read_entry(path: Path) -> Entry:
    """What one folder holds, judged without reading features."""
    folder = Folder(path)
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    try:
        spec = folder.read_spec()
        stock = stored_inventory(folder, spec)
    except StoreError as error:
        return Entry(
            path.parent.name,
            path.name,
            folder.key,
            0,
            0,
            0,
            0,
            "",
            "",
            size,
            False,
            path,
            {},
            problem=error.fact,
        )
    if stock is None:
        return _from_file(folder, spec, size)
    aside = len(stock.quarantined)
    return Entry(
        dataset=stock.plan.dataset,
        encoder=stock.plan.encoder,
        key=key_of(spec),
        rows=stock.done,
        images=len(stock.plan),
        quarantined=aside,
        dim=spec["dim"],
        dtype=spec["dtype"],
        weights=weights_kind(spec),
        bytes=size,
        complete=folder.features.exists() and stock.done + aside == len(stock.plan),
        path=path,
        spec=spec,
    )


def _from_file(folder: Folder, spec: dict[str, Any], size: int) -> Entry:
    """An entry whose PLAN.json is lost: features.h5 speaks for itself."""
    rows, dataset, encoder, problem = 0, folder.path.parent.name, folder.path.name, ""
    try:
        from imbpipe.cache.reader import plan_of_file

        plan = plan_of_file(folder.features)
        rows, dataset, encoder = len(plan), plan.dataset, plan.encoder
    except StoreError as error:
        problem = error.fact
    return Entry(
        dataset,
        encoder,
        key_of(spec),
        rows,
        rows,
        0,
        spec["dim"],
        spec["dtype"],
        weights_kind(spec),
        size,
        not problem,
        folder.path,
        spec,
        problem,
    )
