"""Make features.h5 of what is stored, in a process of its own: `python -m imbpipe.cache.pack FOLDER`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import imbpipe
from imbpipe.cache import disk
from imbpipe.cache.inventory import QUARANTINED, Inventory, current_plan, take_stock
from imbpipe.cache.journals import read_journals
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import write_plan
from imbpipe.cache.spec import Spec, canonical, extract_command
from imbpipe.cache.unfinished import finishing_command
from imbpipe.errors import ImbpipeError, StoreError

REFUSED = 3


def pack_in_child(folder: Folder) -> None:
    """Pack in a child process: not even a crash inside HDF5 takes this process along.

    Raises StoreError: rows are missing, the disk is full, the child was killed.
    """
    library = str(Path(imbpipe.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (library, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "imbpipe.cache.pack", str(folder.path)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if done.returncode == REFUSED:
        raise StoreError(**json.loads(done.stdout))
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise StoreError(
            f"packing {folder.path} was killed by {name}; nothing is lost", "Run the same command again"
        )
    if done.returncode:
        raise RuntimeError(f"packing {folder.path} failed:\n{done.stderr.decode(errors='replace')}")


def pack(folder: Folder) -> None:
    """Bring features.h5 up to the plan, then drop the journals, which nothing needs any more.

    Raises StoreError: rows are missing or damaged, the disk is full.
    """
    with folder.locked():
        remove(folder, folder.temporaries())
        spec = folder.read_spec()
        stock = _take_stock(folder, spec)
        kept = np.flatnonzero(stock.where != QUARANTINED)
        digest = _current(folder, stock, spec, kept) or _publish(folder, stock, spec, kept)
        _write_quarantine(folder, stock)
        stored = stock.where != QUARANTINED
        plan = replace(
            stock.plan,
            digests=np.where(stored[:, None], stock.digests, 0).astype(np.uint8),
            known=stored,
            packed=stored,
            published=digest,
            quarantined=stock.quarantined,
        )
        write_plan(folder.plan, plan)
        remove(folder, [path for path in stock.journals.paths if disk.is_idle(path)])


def _take_stock(folder: Folder, spec: Spec) -> Inventory:
    """What there is to pack. Raises StoreError: not all of it."""
    plan = current_plan(folder)
    if plan is None:
        raise StoreError(f"{folder.plan} is missing or damaged", "Run the extraction again: nothing is lost")
    stock = take_stock(plan, read_journals(folder, spec))
    remedy = extract_command(folder.root, plan.dataset, plan.encoder, spec)
    if len(stock.missing):
        first = plan.ids[stock.missing[0]]
        raise StoreError(
            f"{len(stock.missing)} of {len(plan)} images are not encoded yet (first {first!r})",
            finishing_command(folder, stock, spec),
        )
    if len(stock.quarantined) == len(plan):
        reason = stock.quarantined[plan.ids[0]]["reason"]
        raise StoreError(
            f"no image of {plan.dataset!r} could be read (first {plan.ids[0]!r}: {reason})",
            f"Mend them. {remedy}",
        )
    return stock


def _current(folder: Folder, stock: Inventory, spec: Spec, kept: NDArray[np.int64]) -> str:
    """The digest of features.h5 if it holds these images with these labels, as after a kill; else empty."""
    from imbpipe.cache.hdf5 import same_content
    from imbpipe.cache.reader import read_content
    from imbpipe.cache.rows import content_of

    with contextlib.suppress(StoreError):
        found = read_content(folder.features)
        return found.digest if same_content(found, content_of(stock, spec, kept)) else ""
    return ""


def _publish(folder: Folder, stock: Inventory, spec: Spec, kept: NDArray[np.int64]) -> str:
    """Write features.h5 anew; its digest."""
    from imbpipe.cache.hdf5 import write_file
    from imbpipe.cache.reader import verify_file
    from imbpipe.cache.rows import blocks_of, content_of

    temporary = folder.features.with_name(f"features.h5.tmp-{uuid.uuid4().hex}")
    try:
        with disk.explained(folder.features, "nothing is lost"):
            digest = write_file(
                temporary, content_of(stock, spec, kept), blocks_of(folder, stock, spec, kept)
            )
            if verify_file(temporary) != digest:
                raise StoreError(f"{temporary} does not read back as it was written", "Check the disk")
            disk.publish(temporary, folder.features)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _write_quarantine(folder: Folder, stock: Inventory) -> None:
    lines = [canonical({"id": name, **entry}) + b"\n" for name, entry in stock.quarantined.items()]
    if lines:
        disk.replace_whole(folder.quarantine, b"".join(lines))
    else:
        remove(folder, [folder.quarantine])


def remove(folder: Folder, paths: list[Path]) -> None:
    """Remove those of `paths` that are there, durably."""
    present = [path for path in paths if path.exists()]
    with disk.explained(folder.path):
        for path in present:
            path.unlink()
        if present:
            disk.sync_folder(folder.path)


def _main() -> int:
    try:
        pack(Folder(Path(sys.argv[1])))
    except ImbpipeError as error:
        print(json.dumps({"fact": error.fact, "remedy": error.remedy}))
        return REFUSED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(_main())
