"""Make features.h5 from what is stored, in a process of its own: `python -m imbpipe.cache.pack FOLDER`."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import imbpipe
from imbpipe.cache import disk
from imbpipe.cache.layout import Folder, canonical, extract_command
from imbpipe.cache.opening import is_idle, take_stock
from imbpipe.cache.plan import StorePlan, plan_fields, write_plan
from imbpipe.cache.sources import PACKED, QUARANTINED, Journals, Sources
from imbpipe.errors import ImbpipeError, StoreError

BLOCK_ROWS = 4096
REFUSED = 3


def pack_in_child(folder: Folder) -> None:
    """Pack in a child process, so that not even a crash inside HDF5 takes this process along.

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
    """Bring features.h5 up to the plan, unless it is; then drop the journals, which nothing needs any more.

    Raises StoreError: rows are missing, the disk is full.
    """
    with folder.locked():
        _remove(folder, folder.temporaries())
        spec = folder.read_spec()
        stock = take_stock(folder, spec)
        if stock is None:
            raise StoreError(f"{folder.plan} is missing or damaged", "Run: imbpipe extract again")
        plan, journals, sources = stock.plan, stock.journals, stock.sources
        _refuse_missing(plan, sources, spec)
        kept = np.flatnonzero(sources.where != QUARANTINED)
        if not _current(folder, plan, sources, spec, kept):
            _publish(folder, plan, journals, sources, spec, kept)
        known = sources.where != QUARANTINED
        write_plan(
            folder.plan,
            plan_fields(
                plan, digests=sources.digests, known=known, packed=known, quarantined=sources.quarantined
            ),
        )
        _write_quarantine(folder, sources)
        _remove(folder, [path for path in journals.paths if is_idle(path)])


def _refuse_missing(plan: StorePlan, sources: Sources, spec: dict[str, Any]) -> None:
    remedy = extract_command(plan.dataset, plan.encoder, spec)
    if len(sources.missing):
        first = plan.ids[sources.missing[0]]
        raise StoreError(
            f"{len(sources.missing)} of {len(plan)} images are not encoded yet (first {first!r})", remedy
        )
    if len(sources.quarantined) == len(plan):
        raise StoreError(f"none of the {len(plan)} images of {plan.dataset!r} could be read", remedy)


def _content(plan: StorePlan, sources: Sources, spec: dict[str, Any], kept: NDArray[np.int64]) -> Any:
    from imbpipe.cache.hdf5 import make_content

    return make_content(
        dataset=plan.dataset,
        encoder=plan.encoder,
        task=plan.task,
        spec=spec,
        class_names=plan.class_names,
        ids=[plan.ids[row] for row in kept],
        labels=plan.labels[kept],
        image_digest=sources.digests[kept],
        quarantined=sources.quarantined,
    )


def _current(
    folder: Folder, plan: StorePlan, sources: Sources, spec: dict[str, Any], kept: NDArray[np.int64]
) -> bool:
    """Whether features.h5 already holds these images with these labels."""
    from imbpipe.cache.reader import open_checked, read_content

    if not folder.features.exists():
        return False
    try:
        with open_checked(folder.features) as file:
            found, _ = read_content(file, folder.features)
    except StoreError:
        return False
    wanted = _content(plan, sources, spec, kept)
    return all(found.texts[name] == text for name, text in wanted.texts.items()) and all(
        np.array_equal(found.arrays[name], array) for name, array in wanted.arrays.items()
    )


def _publish(
    folder: Folder,
    plan: StorePlan,
    journals: Journals,
    sources: Sources,
    spec: dict[str, Any],
    kept: NDArray[np.int64],
) -> None:
    from imbpipe.cache.hdf5 import write_file
    from imbpipe.cache.reader import read_features

    temporary = folder.features.with_name(f"features.h5.tmp-{uuid.uuid4().hex}")
    try:
        with disk.explained(folder.features, "nothing is lost"):
            digest = write_file(
                temporary, _content(plan, sources, spec, kept), _blocks(folder, plan, journals, sources, kept)
            )
            if read_features(temporary).digest.encode() != digest:
                raise StoreError(f"{temporary} does not read back as it was written", "Check the disk")
            temporary.chmod(0o444)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, folder.features)
            disk.sync_folder(folder.path)
    finally:
        temporary.unlink(missing_ok=True)


def _blocks(
    folder: Folder, plan: StorePlan, journals: Journals, sources: Sources, kept: NDArray[np.int64]
) -> Iterator[NDArray[Any]]:
    """The features of the kept rows, in order, BLOCK_ROWS at a time."""
    spec = folder.read_spec()
    dtype = np.dtype(spec["dtype"]).newbyteorder("<")
    old, row_in_old = _old_rows(folder, dtype) if (sources.where == PACKED).any() else (np.empty((0, 0)), {})
    maps = [
        np.memmap(path, mode="r") if path.stat().st_size else np.empty(0, np.uint8) for path in journals.paths
    ]
    width = spec["dim"] * dtype.itemsize
    for start in range(0, len(kept), BLOCK_ROWS):
        rows = kept[start : start + BLOCK_ROWS]
        block = np.empty((len(rows), spec["dim"]), dtype)
        data = block.view(np.uint8)
        for place, row in enumerate(rows):
            source = sources.where[row]
            if source == PACKED:
                block[place] = old[row_in_old[plan.ids[row]]]
            else:
                offset = journals.offset[source]
                data[place] = maps[journals.file[source]][offset : offset + width]
        yield block


def _old_rows(folder: Folder, dtype: np.dtype[Any]) -> tuple[NDArray[Any], dict[str, int]]:
    from imbpipe.cache.reader import read_features

    old = read_features(folder.features)
    return old.features.astype(dtype), {name: row for row, name in enumerate(old.ids)}


def _write_quarantine(folder: Folder, sources: Sources) -> None:
    lines = [canonical({"id": name, **entry}) for name, entry in sources.quarantined.items()]
    if lines:
        disk.replace_whole(folder.quarantine, b"".join(line + b"\n" for line in lines))
    else:
        _remove(folder, [folder.quarantine])


def _remove(folder: Folder, paths: list[Path]) -> None:
    present = [path for path in paths if path.exists()]
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
