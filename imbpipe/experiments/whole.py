"""Write a file whole or not at all."""

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from imbpipe.errors import ResultsError


def write_whole(
    path: Path, write: Callable[[Path], object], remedy: str = "Free space and run the same command again"
) -> None:
    """What `write` puts where it is told; folders above are made.

    Raises ResultsError: the disk refuses; what was there before is then still there. remedy: for its message.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}", remedy) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
