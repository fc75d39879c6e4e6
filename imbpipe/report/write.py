"""Write a file whole or not at all."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from imbpipe.errors import ResultsError


def write_page(path: Path, text: str) -> None:
    """Raises ResultsError: the disk refuses; what was there before is then still there."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}", "Choose another place with --out") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
