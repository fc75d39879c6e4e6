"""Readers that read again and again while new versions are published.

`python -m store_faults.republish FOLDER N`: forked readers load through the store while labels change, and
read the file itself while images change, when the store rightly calls its features incomplete. It prints
the counts as JSON.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from imbpipe.cache.reader import read_features
from imbpipe.errors import ImbpipeError
from imbpipe.types import FeatureSet
from store_faults import toy
from store_faults.kills import fork, wait

READERS = 2


@dataclass
class Counts:
    """mixed: reads that are of no version ever published."""

    published: int = 0
    reads: int = 0
    errors: int = 0
    mixed: int = 0


def read_while_publishing(folder: Path, versions: int, images: bool) -> Counts:
    """Publish `versions` versions under readers; with other images each time, or with other labels only."""
    shelf = toy.shelf(folder, n=300)
    shelf.fill()
    read: Callable[[], FeatureSet] = (lambda: read_features(shelf.folder.features)) if images else shelf.load
    right = {fingerprint(read())}
    readers = [fork(lambda number=number: keep_reading(folder, number, read)) for number in range(READERS)]
    for version in range(versions):
        if images:
            for path in shelf.dataset.images[::7]:
                path.write_bytes(f"version {version} of {path.name}".encode())
        else:
            shelf.dataset = replace(shelf.dataset, labels=~shelf.dataset.labels)
        shelf.fill()
        right.add(fingerprint(read()))
    (folder / "done").touch()
    for reader in readers:
        wait(reader, None)
    counts = Counts(versions)
    for number in range(READERS):
        seen, errors = json.loads((folder / f"seen{number}").read_text())
        counts.reads += len(seen)
        counts.errors += errors
        counts.mixed += len([one for one in seen if one not in right])
    return counts


def keep_reading(folder: Path, number: int, read: Callable[[], FeatureSet]) -> None:
    """Read until told that all is done; leave what was seen in a file."""
    seen: list[str] = []
    errors = 0
    while not (folder / "done").exists():
        try:
            seen.append(fingerprint(read()))
        except ImbpipeError:
            errors += 1
    (folder / f"seen{number}").write_text(json.dumps([seen, errors]))


def fingerprint(found: FeatureSet) -> str:
    """Of all that a reader gets."""
    parts = [
        found.features.tobytes(),
        found.labels.tobytes(),
        repr(found.ids).encode(),
        found.digest.encode(),
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()


if __name__ == "__main__":
    toy.without_syncing(pytest.MonkeyPatch())
    results = [
        read_while_publishing(Path(sys.argv[1]) / str(images), int(sys.argv[2]), images)
        for images in (False, True)
    ]
    total = Counts(*(sum(values) for values in zip(*(asdict(one).values() for one in results), strict=True)))
    print(json.dumps(asdict(total)))
