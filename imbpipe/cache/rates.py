"""How fast this machine was lately, so that the next call can say how long it will take."""

import json
from contextlib import suppress
from pathlib import Path

from imbpipe.cache import disk
from imbpipe.errors import StoreError


class Rates:
    """Units a second of kinds of work, in `<root>/rates.json`. Losing the file loses nothing else.

    kind: what was done, by what and where, as "encode resnet18 cpu".
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "rates.json"

    def seconds(self, kind: str, units: float) -> float | None:
        """How long that many units should take; None where none was ever measured."""
        done, took = self._read().get(kind, (0.0, 0.0))
        return units * took / done if done > 0 else None

    def note(self, kind: str, units: float, seconds: float) -> None:
        """Keep a measurement. Older ones count half as much with each newer one.

        A rate that cannot be kept is let go: nothing depends on it.
        """
        if units <= 0 or seconds <= 0:
            return
        known = self._read()
        done, took = known.get(kind, (0.0, 0.0))
        known[kind] = (done / 2 + units, took / 2 + seconds)
        with suppress(StoreError, OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            disk.replace_whole(self._path, json.dumps(known, indent=1, sort_keys=True).encode())

    def _read(self) -> dict[str, tuple[float, float]]:
        try:
            known = json.loads(self._path.read_bytes()).items()
            return {kind: (float(done), float(took)) for kind, (done, took) in known}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def encoding(encoder: str, device: str) -> str:
    """The kind of work whose units are images."""
    return f"encode {encoder} {device.partition(':')[0]}"


PAGE = "compare and show"
"""The kind of work whose units are scores of test images: heads times images times classes."""


def training(device: str, head: str) -> str:
    """The kind of work whose units are training images times epochs times heads."""
    return f"train {head} {device.partition(':')[0]}"
