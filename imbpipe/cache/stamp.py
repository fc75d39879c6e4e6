"""What tells cheaply that an image changed, and what tells surely."""

import hashlib
import os
import stat
from pathlib import Path

NO_FILE = (-1, -1)
DIGEST_BYTES = 16


def stamp_of(path: str | Path) -> tuple[int, int]:
    """Size and mtime in nanoseconds; NO_FILE where there is no regular file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return NO_FILE
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else NO_FILE


def digest_of(path: str | Path) -> bytes | None:
    """The first 16 bytes of the SHA-256 of the file's bytes; None where it cannot be read."""
    if stamp_of(path) == NO_FILE:
        return None
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()[:DIGEST_BYTES]
    except OSError:
        return None
