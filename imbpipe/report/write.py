"""Put the page where it was asked for."""

from pathlib import Path

from imbpipe.experiments.whole import write_whole


def write_page(path: Path, text: str) -> None:
    """Raises ResultsError: the disk refuses."""
    write_whole(
        path, lambda place: place.write_text(text, encoding="utf-8"), "Choose another place with --out"
    )
