"""How the store changes files: whole, durable, and with errors that a user understands."""

import contextlib
import errno
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from imbpipe.errors import StoreError

sync_data = getattr(os, "fdatasync", os.fsync)
"""Make what was written to an open file durable, and its length."""

RERUN = "Free space and run the same command again"
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def explained(path: Path, safe: str = "") -> Iterator[None]:
    """Turn an OSError on `path` into a StoreError. safe: what is not lost, for the message."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path, safe) from error


def disk_error(error: OSError, path: Path, safe: str = "") -> StoreError:
    """The StoreError that says what `error` means for the file at `path`."""
    kept = f" ({safe})" if safe else ""
    if error.errno in FULL:
        return StoreError(f"the disk is full at {path}{kept}", RERUN)
    return StoreError(
        f"cannot use {path}: {error.strerror}{kept}", "Mend that and run the same command again"
    )


def sync_folder(path: Path) -> None:
    """Make creations, renamings and removals in the folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Create `path` and what is missing above it, durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def append(fd: int, buffers: list[bytes | memoryview], end: int) -> int:
    """Append all of `buffers` in one write and return how many bytes that were, or append nothing.

    end: length of the file, to which it is cut back after a short write (a full disk). Raises OSError.
    """
    wanted = sum(len(buffer) for buffer in buffers)
    written = os.writev(fd, buffers)
    if written != wanted:
        os.ftruncate(fd, end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return wanted


def replace_whole(path: Path, data: bytes) -> None:
    """Write `path` so that it holds either what it held before or all of `data`, durably.

    Raises StoreError: the disk is full, no permission.
    """
    temporary = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex}")
    with explained(path):
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                append(fd, [data], 0)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def reserve(fd: int, size: int) -> None:
    """Claim room for `size` bytes where the file system can, so that later writes do not fail."""
    try:
        os.posix_fallocate(fd, 0, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def try_lock(fd: int) -> bool:
    """Take the file's lock unless somebody else holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock file at `path`; the operating system lets go of it when the process dies.

    patience: seconds to wait for another holder. Raises StoreError: it waited in vain.
    """
    deadline = time.monotonic() + patience
    while True:
        with explained(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            held = try_lock(fd)
            if held and _still_there(fd, path):
                yield
                return
            if time.monotonic() > deadline:
                raise StoreError(f"another process holds {path}", "Wait until it is done and run this again")
        finally:
            os.close(fd)
        if not held:
            time.sleep(0.02)


def is_idle(path: Path) -> bool:
    """Whether no process holds the lock of the file at `path`."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return try_lock(fd)
    finally:
        os.close(fd)


def _still_there(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def publish(temporary: Path, path: Path) -> None:
    """Give the finished file `temporary` the name `path`, read-only and durable. Raises OSError."""
    temporary.chmod(0o444)
    fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(temporary, path)
    sync_folder(path.parent)
