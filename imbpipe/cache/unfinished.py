"""What has to run before features can be packed."""

from pathlib import Path

from imbpipe.cache import disk
from imbpipe.cache.inventory import Inventory
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import Spec, extract_command


def finishing_command(folder: Folder, stock: Inventory, spec: Spec) -> str:
    """The remedy that encodes what is missing: the whole command, or the shards that are not done.

    Shards are counted as the journal says that was written last.
    """
    plan, journals = stock.plan, stock.journals
    command = extract_command(folder.root, plan.dataset, plan.encoder, spec)
    counts = [
        (path.stat().st_mtime_ns, session["workers"])
        for path, session in zip(journals.paths, journals.sessions, strict=True)
        if session and "run" not in session
    ]
    count = max(counts, default=(0, 1))[1]
    if count == 1:
        return command
    numbers = sorted(set((stock.missing // plan.batch_size % count).tolist()))
    running = [f"{number + 1}/{count}" for number in numbers if _is_written(folder.part(number))]
    idle = [f"{number + 1}/{count}" for number in numbers if f"{number + 1}/{count}" not in running]
    wait = f"Wait for --shard {' and '.join(running)}, still running" if running else ""
    if not idle:
        return wait
    others = f", and the same with {', '.join(idle[1:])}" if idle[1:] else ""
    return f"{command} --shard {idle[0]}{others}{f'. {wait}' if wait else ''}"


def _is_written(path: Path) -> bool:
    return path.exists() and not disk.is_idle(path)
