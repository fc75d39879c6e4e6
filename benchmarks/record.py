"""Keep what was measured: `results/NAME.json`, with machine and date."""

import datetime
import json
import os
import platform
import re
from pathlib import Path
from typing import Any


def keep(name: str, measured: Any) -> None:
    """Write `measured` (JSON values) for the benchmark `name`."""
    target = Path(__file__).parent / "results" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    target.write_text(json.dumps({"machine": machine(), "date": date, "measured": measured}, indent=1) + "\n")


def keep_part(name: str, part: str, measured: Any) -> None:
    """Write one part of what the benchmark `name` measures; other parts stay as they were measured on this
    machine, each with its own date."""
    target = Path(__file__).parent / "results" / f"{name}.json"
    known = json.loads(target.read_text()) if target.exists() else {}
    others = known.get("measured", {}) if known.get("machine") == machine() else {}
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    keep(name, others | {part: {"date": date, "load": os.getloadavg()[0], **measured}})


def check(device: str) -> None:
    """End with a line where this machine has no such device."""
    from imbpipe.encoders.frozen import resolve_device
    from imbpipe.errors import UsageError

    try:
        resolve_device(device)
    except UsageError as error:
        raise SystemExit(str(error)) from None


def machine() -> str:
    """Processor and number of cores."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", info.read_text()) if info.exists() else []
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
