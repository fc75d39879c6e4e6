"""TensorBoard: scalars and hyper-parameters of every run, and the features in its projector."""

import hashlib
import json
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

from imbpipe.errors import ResultsError
from imbpipe.tracking.projector import write_projector
from imbpipe.tracking.tracker import TRACKERS, Record, Tracked, Tracker
from imbpipe.types import Progress

CONTENT = "content.sha256"
"""Beside each run's events: of what they say."""


@TRACKERS.add("tensorboard")
def tensorboard_tracker(cache: Path) -> Tracker:
    """Event files in CACHE/tensorboard, a folder a run below its data set, encoder and setting.

    Runs that differ in seed and split alone are one row of HPARAMS, with their means.

    Source: https://www.tensorflow.org/tensorboard/hyperparameter_tuning_with_hparams
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise ResultsError(
            "--track tensorboard needs TensorBoard", "Run: pip install 'imbpipe[tensorboard]'"
        ) from None
    return _TensorBoard(cache / "tensorboard")


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = f"{folder} (to look: tensorboard --logdir {folder})"

    def log(self, tracked: Tracked, progress: Progress | None = None) -> int:
        """See `Tracker`."""
        base = self.folder / _plain(tracked.dataset) / _plain(tracked.encoder)
        names = {record.key: record.name for record in tracked.records}
        new = 0
        try:
            for done, record in enumerate(tracked.records, 1):
                setting = base / _plain(names[record.setting or record.key])
                new += _write(setting / _run_folder(record), record) and bool(record.setting)
                if progress is not None:
                    progress(done, len(tracked.records))
            write_projector(base / "features", tracked.material)
        except OSError as error:
            raise ResultsError(
                f"cannot write {error.filename or self.folder}: {error.strerror}",
                "Mend that; results are kept, and the same command logs them",
            ) from None
        return new


def _run_folder(record: Record) -> str:
    if not record.setting:
        return "all-runs"
    return _plain(f"seed{record.params['seed']}-{record.params['split']}-{record.key[:8]}")


def _plain(name: str) -> str:
    plain = re.sub(r"[^\w.,=()@-]+", "-", name).strip(".-")
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _write(folder: Path, record: Record) -> bool:
    """One run's events, whole, unless they are there already."""
    content = hashlib.sha256(json.dumps([record.params, record.metrics, record.tags]).encode()).hexdigest()
    mark = folder / CONTENT
    if mark.is_file() and mark.read_text() == content:
        return False
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    _write_events(part, record)
    (part / CONTENT).write_text(content)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return True


def _write_events(folder: Path, record: Record) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.plugins.text.summary_v2 import text_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    chosen: dict[str, Any] = {
        name: value for name, value in record.params.items() if name not in ("seed", "split")
    }
    writer = EventFileWriter(str(folder))
    about = "\n".join(f"- {name}: {value}" for name, value in {**record.params, **record.tags}.items())
    for summary in (
        hparams_pb(chosen, start_time_secs=record.finished),
        text_pb("about", about),
        *(scalar_pb(name, value) for name, value in record.metrics.items()),
    ):
        writer.add_event(Event(summary=summary, step=0, wall_time=record.finished))
    writer.close()
