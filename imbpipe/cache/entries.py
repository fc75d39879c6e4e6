"""What a cache holds."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from imbpipe.cache.inventory import PACKED, Inventory, stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import key_of, weights_kind
from imbpipe.cache.stamp import stamp_of
from imbpipe.errors import StoreError


@dataclass(frozen=True, eq=False)
class Entry:
    """Features of one data set by one encoder under one spec.

    rows: stored, of which `packed` in features.h5. images: in the data set. quarantined: could not be read.
    bytes: of all files. complete: features.h5 holds every image that could be read.
    weights: "random" or "trained". problem: what keeps it from being used, else empty.
    """

    path: Path
    dataset: str
    encoder: str
    key: str
    bytes: int
    rows: int = 0
    packed: int = 0
    images: int = 0
    quarantined: int = 0
    dim: int = 0
    dtype: str = ""
    weights: str = ""
    complete: bool = False
    problem: str = ""
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """In words: "complete", "partial 300 of 1000", with ", 2 quarantined"; or the problem."""
        if self.problem:
            return self.problem
        aside = f", {self.quarantined} quarantined" if self.quarantined else ""
        return ("complete" if self.complete else f"partial {self.rows} of {self.images}") + aside


def folders(root: Path) -> list[Path]:
    """Every folder under `root` that holds a part of the store, in order."""
    names = ("SPEC.json", "PLAN.json", "features.h5")
    return sorted({path.parent for name in names for path in root.glob(f"*/*/{name}")})


def list_entries(root: Path) -> list[Entry]:
    """What each of them holds."""
    return [read_entry(path) for path in folders(root)]


def read_entry(path: Path) -> Entry:
    """What one folder holds, judged without reading features. Damage is a `problem`, not an exception."""
    folder = Folder(path)
    size = sum(max(0, stamp_of(file)[0]) for file in path.iterdir())
    entry = Entry(path, path.parent.name, path.name, folder.key, size)
    try:
        spec = folder.read_spec()
        kind = weights_kind(spec)
        entry = replace(
            entry, key=key_of(spec), dim=spec["dim"], dtype=spec["dtype"], weights=kind, spec=spec
        )
        stock = stored_inventory(folder, spec)
        return _from_file(entry) if stock is None else _counted(entry, stock)
    except StoreError as error:
        return replace(entry, problem=error.fact)


def _counted(entry: Entry, stock: Inventory) -> Entry:
    there = Folder(entry.path).features.exists()
    return replace(
        entry,
        dataset=stock.plan.dataset,
        encoder=stock.plan.encoder,
        rows=stock.done,
        packed=int(np.count_nonzero(stock.where == PACKED)),
        images=len(stock.plan),
        quarantined=len(stock.quarantined),
        complete=there and not len(stock.missing),
    )


def _from_file(entry: Entry) -> Entry:
    """PLAN.json is lost: features.h5 speaks for itself."""
    from imbpipe.cache.reader import plan_of_file

    plan = plan_of_file(Folder(entry.path).features)
    n = len(plan)
    return replace(
        entry, dataset=plan.dataset, encoder=plan.encoder, rows=n, packed=n, images=n, complete=True
    )
