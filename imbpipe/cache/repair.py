"""Keep what is sound of a damaged folder, so that only the rest is encoded again."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.journal import ROWS, SESSION, heads_of, key_in, pack_record, pack_rows, scan
from imbpipe.cache.layout import Folder, decode_text
from imbpipe.cache.pack import remove
from imbpipe.cache.plan import hash_id, read_plan
from imbpipe.cache.spec import Spec, canonical, journal_key
from imbpipe.cache.stamp import NO_FILE
from imbpipe.cache.text import read_text
from imbpipe.errors import StoreError

SALVAGE_ROWS = 256


@dataclass(frozen=True)
class Repair:
    """What was done to one folder.

    kept: rows of features.h5 that are sound. lost: ids of rows that are not.
    aside: files renamed, since they cannot be used. removed: left-over temporary files.
    """

    path: Path
    kept: int
    lost: tuple[str, ...]
    aside: tuple[Path, ...]
    removed: tuple[Path, ...]
    spec_restored: bool

    @property
    def needs_extraction(self) -> bool:
        """Whether `imbpipe extract` has to run before the features can be used again."""
        return bool(self.aside)


def repair(path: Path) -> Repair:
    """Mend the folder at `path` as far as its own files allow.

    A damaged features.h5 is set aside and its sound rows go to a journal; the next extraction encodes
    the others. Raises StoreError: SPEC.json is lost and no other file tells what it said.
    """
    folder = Folder(path)
    with folder.locked():
        left = folder.temporaries()
        remove(folder, left)
        spec, restored = _restore_spec(folder)
        aside = [_set_aside(journal) for journal in folder.journals() if _is_foreign(journal, spec)]
        kept, lost, damaged = _repair_features(folder, spec)
        if damaged:
            aside.append(_set_aside(folder.features))
        elif kept and _contradicts(folder):
            aside.append(_set_aside(folder.plan))
        try:
            read_text(folder)
        except StoreError:
            aside.append(_set_aside(folder.text))
        disk.sync_folder(folder.path)
    return Repair(path, kept, lost, tuple(aside), tuple(left), restored)


def _restore_spec(folder: Folder) -> tuple[dict[str, Any], bool]:
    """The spec, and whether SPEC.json had to be written anew from another file."""
    with contextlib.suppress(StoreError):
        return folder.read_spec(), False
    for spec in _specs_elsewhere(folder):
        if folder.fits(spec):
            folder.write_spec(spec)
            return spec, True
    raise StoreError(
        f"{folder.spec} is lost, and no other file there says what it said",
        "Remove the folder and extract again",
    )


def _specs_elsewhere(folder: Folder) -> list[Any]:
    from imbpipe.cache.reader import read_content

    found: list[Any] = []
    with contextlib.suppress(StoreError, ValueError):
        found.append(json.loads(read_content(folder.features).texts["spec"]))
    for path in folder.journals():
        with path.open("rb") as file:
            sessions = [
                record
                for record in scan(file.fileno(), key_in(file.fileno())).records
                if record.kind == SESSION
            ]
            texts = [os.pread(file.fileno(), record.length, record.offset) for record in sessions]
        found += [json.loads(text)["spec"] for text in texts]
    return found


def _is_foreign(journal: Path, spec: Spec) -> bool:
    with journal.open("rb") as file:
        return scan(file.fileno(), journal_key(spec), payloads=False).foreign


def _set_aside(path: Path) -> Path:
    """Rename a file so that nothing reads it any more; its new path."""
    number = 0
    while (aside := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    os.rename(path, aside)
    return aside


def _repair_features(folder: Folder, spec: Spec) -> tuple[int, tuple[str, ...], bool]:
    """How many rows are sound, which are not, and whether the file has to go."""
    from imbpipe.cache.reader import read_features, salvage

    if not folder.features.exists():
        return 0, (), False
    with contextlib.suppress(StoreError):
        features = read_features(folder.features)
        return len(features.ids), (), not folder.owns(features.dataset, features.encoder, features.spec)
    try:
        content, rows, good = salvage(folder.features)
    except StoreError:
        return 0, (), True
    if content.texts["spec"] != canonical(spec):
        return 0, (), True
    ids = [decode_text(name) for name in content.arrays["ids"].tolist()]
    kept = np.flatnonzero(good)
    _write_journal(folder, spec, [ids[row] for row in kept], content.arrays["image_digest"][kept], rows[kept])
    return len(kept), tuple(ids[row] for row in np.flatnonzero(~good)), True


def _contradicts(folder: Folder) -> bool:
    """Whether PLAN.json says of rows that they are in features.h5, and they are not (as in an older copy)."""
    from imbpipe.cache.reader import plan_of_file

    plan, found = read_plan(folder.plan), plan_of_file(folder.features)
    if plan is None:
        return False
    there = {(name, digest.tobytes()) for name, digest in zip(found.ids, found.digests, strict=True)}
    return any(
        (plan.ids[row], plan.digests[row].tobytes()) not in there for row in np.flatnonzero(plan.packed)
    )


def _write_journal(
    folder: Folder, spec: Spec, ids: list[str], digests: NDArray[np.uint8], features: NDArray[Any]
) -> None:
    """Put rows into a journal of their own, durably."""
    path = folder.unused_salvage()
    key = journal_key(spec)
    heads = heads_of([hash_id(name) for name in ids], _stamps(folder, ids))
    heads["digest"] = digests
    with disk.explained(path), path.open("xb", buffering=0) as file:
        end = disk.append(file.fileno(), pack_record(SESSION, key, 0, [canonical({"spec": spec})]), 0)
        for number, start in enumerate(range(0, len(ids), SALVAGE_ROWS), start=1):
            rows = slice(start, start + SALVAGE_ROWS)
            record = pack_record(ROWS, key, number, pack_rows(heads[rows], features[rows]), len(heads[rows]))
            end += disk.append(file.fileno(), record, end)
        os.fsync(file.fileno())
    disk.sync_folder(folder.path)


def _stamps(folder: Folder, ids: list[str]) -> NDArray[np.int64]:
    """(m, 2) of each image as PLAN.json has it; NO_FILE makes the next extraction read the image."""
    plan = read_plan(folder.plan)
    rows = [None if plan is None else plan.place.get(name) for name in ids]
    found = [
        NO_FILE if plan is None or row is None or not plan.known[row] else plan.stamps[row] for row in rows
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
