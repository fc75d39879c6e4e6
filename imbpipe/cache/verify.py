"""Check everything that can be checked of stored features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imbpipe.cache.inventory import Inventory, stored_inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import Spec, key_of
from imbpipe.cache.stamp import digest_of
from imbpipe.cache.text import read_text
from imbpipe.errors import ImageError, StoreError
from imbpipe.types import Features, FeatureSet

Encode = Callable[[Sequence[Path]], Features]
"""Paths of b images -> (b, dim)."""

TOLERANCE = {"float32": 1e-3, "float16": 5e-3}
"""Of a recomputed row, relative to its largest value: other batch sizes and machines change last bits."""


@dataclass(frozen=True)
class Verification:
    """What was found in one folder.

    rows: verified in features.h5. problems: in words, each with its place; none where all is well.
    images: behind the rows, read again and compared; absent: not on this machine.
    recomputed: rows encoded again; passed_over: not, since their image is not on this machine;
    difference: the largest, relative to the row's largest value.
    """

    path: Path
    rows: int
    problems: tuple[str, ...]
    images: int = 0
    absent: int = 0
    recomputed: int = 0
    passed_over: int = 0
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
    found = {row: digest_of(stock.plan.paths[row]) for row in np.flatnonzero(stock.plan.packed).tolist()}
    there = {row: digest for row, digest in found.items() if digest is not None}
    changed = [
        _changed(stock, row) for row, digest in there.items() if digest != stock.digests[row].tobytes()
    ]
    problems = (*result.problems, *changed)
    return replace(result, problems=problems, images=len(there), absent=len(found) - len(there))


def _changed(stock: Inventory, row: int) -> str:
    return f"image {stock.plan.ids[row]!r} at {stock.plan.paths[row]} is not the one that was encoded"


def _compare_rows(
    result: Verification, stock: Inventory, features: FeatureSet, count: int, encode: Encode
) -> Verification:
    problems, differences, passed_over = list(result.problems), [], 0
    for place in np.unique(np.linspace(0, len(features.ids) - 1, count).round().astype(int)).tolist():
        row = stock.plan.place.get(features.ids[place])
        digest = None if row is None else digest_of(stock.plan.paths[row])
        if row is None or digest is None:
            passed_over += 1
        elif digest != stock.digests[row].tobytes():
            problems.append(_changed(stock, row))
        else:
            try:
                again = encode([Path(stock.plan.paths[row])])[0]
            except ImageError as error:
                problems.append(f"image {stock.plan.ids[row]!r} at {stock.plan.paths[row]}: {error.fact}")
                continue
            differences.append(_difference(features.features[place], again))
            if not differences[-1] <= TOLERANCE[features.spec["dtype"]]:
                problems.append(
                    f"row {place} ({features.ids[place]!r}) encoded again differs by {differences[-1]:.2g} "
                    "of its largest value"
                )
    return replace(
        result,
        problems=tuple(dict.fromkeys(problems)),
        recomputed=len(differences),
        passed_over=passed_over,
        difference=max(differences, default=0.0),
    )


def _difference(stored: Features, again: Features) -> float:
    """The largest, relative to the largest value. stored, again: (d,)."""
    scale = max(float(np.abs(stored).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(stored - again).max()) / scale
