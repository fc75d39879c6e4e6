"""Check everything that can be checked of stored features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imbpipe.cache.inventory import Inventory, stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import Spec, key_of
from imbpipe.cache.stamp import digest_of
from imbpipe.cache.text import read_text
from imbpipe.errors import StoreError
from imbpipe.types import Features, FeatureSet

Encode = Callable[[Sequence[Path]], Features]
"""Paths of b images -> (b, dim)."""

TOLERANCE = {"float32": 1e-3, "float16": 5e-3}
"""Of a recomputed row, relative to its largest value: other batch sizes and machines change last bits."""


@dataclass(frozen=True)
class Verification:
    """What was found in one folder.

    rows: verified in features.h5. problems: in words, each with its place; none where all is well.
    images: read again and compared; absent: not on this machine.
    recomputed: rows encoded again; difference: the largest, relative to the row's largest value.
    """

    path: Path
    rows: int
    problems: tuple[str, ...]
    images: int = 0
    absent: int = 0
    recomputed: int = 0
    difference: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify(
    path: Path, *, images: bool = False, recompute: int = 0, encode: Encode | None = None
) -> Verification:
    """Check the folder at `path`: every row, the journals, the plan; never raises StoreError.

    images: also read every image and compare its bytes with what was encoded.
    recompute: also encode this many rows again, spread over the data set, with `encode`.
    """
    folder = Folder(path)
    problems: list[str] = []
    try:
        spec = folder.read_spec()
        stock = stored_inventory(folder, spec, payloads=True)
    except StoreError as error:
        return Verification(path, 0, (error.fact,))
    if stock is None:
        problems.append(f"{folder.plan} is missing or damaged; the next extraction makes it again")
    else:
        problems += _journal_problems(stock)
    features = _read(folder, spec, problems)
    try:
        read_text(folder)
    except StoreError as error:
        problems.append(error.fact)
    rows = 0 if features is None else len(features.ids)
    result = Verification(path, rows, tuple(problems))
    if stock is None or features is None:
        return result
    if images:
        result = _compare_images(result, stock)
    if recompute and encode is not None:
        result = _compare_rows(result, stock, features, recompute, encode)
    return result


def _journal_problems(stock: Inventory) -> list[str]:
    return [
        f"{journal} is damaged at bytes {start} to {end}; its other rows are kept"
        for journal, scan in zip(stock.journals.paths, stock.journals.scans, strict=True)
        for start, end in scan.damaged
    ]


def _read(folder: Folder, spec: Spec, problems: list[str]) -> FeatureSet | None:
    from imbpipe.cache.reader import read_features

    if not folder.features.exists():
        return None
    try:
        features = read_features(folder.features)
    except StoreError as error:
        problems.append(error.fact)
        return None
    if features.spec != spec:
        problems.append(f"{folder.features} is of key {key_of(features.spec)}, not of its folder's")
    return features


def _compare_images(result: Verification, stock: Inventory) -> Verification:
    found = [digest_of(path) for path in stock.plan.paths]
    changed = [
        f"image {name!r} at {path} is not the one that was encoded"
        for name, path, digest, row in zip(
            stock.plan.ids, stock.plan.paths, found, range(len(found)), strict=True
        )
        if digest is not None and stock.plan.packed[row] and digest != stock.digests[row].tobytes()
    ]
    absent = found.count(None)
    return Verification(
        result.path, result.rows, (*result.problems, *changed), images=len(found) - absent, absent=absent
    )


def _compare_rows(
    result: Verification, stock: Inventory, features: FeatureSet, count: int, encode: Encode
) -> Verification:
    places = np.unique(np.linspace(0, len(features.ids) - 1, count).round().astype(int))
    paths = [Path(stock.plan.paths[stock.plan.place[features.ids[place]]]) for place in places]
    stored, again = features.features[places], encode(paths)
    scale = np.maximum(np.abs(stored).max(axis=1), np.finfo(np.float32).tiny)
    difference = np.abs(stored - again).max(axis=1) / scale
    tolerance = TOLERANCE[features.spec["dtype"]]
    wrong = [
        f"row {place} ({features.ids[place]!r}) encoded again differs by {error:.2g} of its largest value"
        for place, error in zip(places, difference, strict=True)
        if not error <= tolerance
    ]
    return Verification(
        result.path,
        result.rows,
        (*result.problems, *wrong),
        images=result.images,
        absent=result.absent,
        recomputed=len(places),
        difference=float(difference.max()),
    )
