"""What a cache holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbpipe.cache.layout import Folder, key_of
from imbpipe.cache.opening import take_stock
from imbpipe.errors import StoreError


@dataclass(frozen=True, eq=False)
class Entry:
    """Features of one data set by one encoder under one spec.

    rows: stored. images: in the data set. quarantined: could not be read. bytes: on disk, all files.
    complete: features.h5 holds every image that could be read.
    weights: kind ("pretrained", "file", "random").
    problem: what keeps it from being used; empty.
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
        """In words."""
        aside = f", {self.quarantined} quarantined" if self.quarantined else ""
        if self.problem:
            return self.problem
        return ("complete" if self.complete else f"partial {self.rows} of {self.images}") + aside


def list_entries(root: Path) -> list[Entry]:
    """Every folder under `root` that holds a part of the store, in order of its path."""
    folders = sorted(
        {
            path.parent
            for name in ("SPEC.json", "PLAN.json", "features.h5")
            for path in root.glob(f"*/*/{name}")
        }
    )
    return [read_entry(Folder(path)) for path in folders]


def read_entry(folder: Folder) -> Entry:
    """What one folder holds, judged without reading features."""
    size = sum(path.stat().st_size for path in folder.path.iterdir() if path.is_file())
    try:
        spec = folder.read_spec()
        stock = take_stock(folder, spec, payloads=False)
    except StoreError as error:
        return Entry(
            folder.path.parent.name,
            folder.path.name,
            "",
            0,
            0,
            0,
            0,
            "",
            "",
            size,
            False,
            folder.path,
            {},
            error.fact,
        )
    plan, rows, aside, complete = None, 0, 0, folder.features.exists()
    if stock is not None:
        plan, rows, aside = stock.plan, stock.sources.done, len(stock.sources.quarantined)
        complete = complete and rows + aside == len(plan)
    return Entry(
        dataset=plan.dataset if plan else folder.path.parent.name,
        encoder=plan.encoder if plan else folder.path.name,
        key=key_of(spec),
        rows=rows,
        images=len(plan) if plan else 0,
        quarantined=aside,
        dim=spec["dim"],
        dtype=spec["dtype"],
        weights=str(spec.get("weights", "unknown")),
        bytes=size,
        complete=complete,
        path=folder.path,
        spec=spec,
    )
