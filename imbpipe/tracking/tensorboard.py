"""TensorBoard: scalars and hyper-parameters of every run, and the features in its projector."""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
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
        settings = {record.key: record.name for record in tracked.records if not record.setting}
        new = 0
        try:
            for done, record in enumerate(tracked.records, 1):
                key = record.setting or record.key
                folder = base / _plain(settings[key]) / _run_folder(record)
                group = f"{settings[key]}, {tracked.dataset}, {tracked.encoder}, {key[:6]}"
                new += _write(folder, record, group) and bool(record.setting)
                if progress is not None:
                    progress(done, len(tracked.records))
            _write_columns(self.folder / "columns", tracked)
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


def _write(folder: Path, record: Record, group: str) -> bool:
    """One run's events; False where they are there already. group: the row of HPARAMS that it counts in."""
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.plugins.text.summary_v2 import text_pb

    def summaries() -> Iterator[Any]:
        yield hparams_pb(_shared(record), group, start_time_secs=record.finished)
        about = {**record.params, **record.tags}
        yield text_pb("about", "\n".join(f"- {name}: {value}" for name, value in about.items()))
        yield from (scalar_pb(name, value) for name, value in record.metrics.items())

    return _write_whole(folder, [record.params, record.metrics, record.tags], summaries, record.finished)


def _shared(record: Record) -> dict[str, Any]:
    """What is the same for all runs of a setting."""
    return {name: value for name, value in record.params.items() if name not in ("seed", "split")}


def _write_columns(folder: Path, tracked: Tracked) -> None:
    """What HPARAMS shows: the parameters in which settings differ; differences first, no single classes."""
    from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb

    settings = [record for record in tracked.records if not record.setting]
    names = dict.fromkeys(name for record in settings for name in _shared(record))
    differing = [name for name in names if len({record.params.get(name) for record in settings}) > 1]
    columns = list(dict.fromkeys(["dataset", "encoder", "strategy", *differing]))
    metrics = {name for record in settings for name in record.metrics if name != "runs"}
    order = sorted(metrics, key=lambda name: ("_difference_" not in name, "remaining" in name, name))

    def summaries() -> Iterator[Any]:
        yield hparams_config_pb(list(map(HParam, columns)), list(map(Metric, order)), time_created_secs=0)

    _write_whole(folder, [columns, order], summaries, 0)


def _write_whole(folder: Path, content: Any, summaries: Callable[[], Iterator[Any]], time: float) -> bool:
    """Events of a run, whole or not at all; False where the same content is there already."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    mark = folder / CONTENT
    if mark.is_file() and mark.read_text() == digest:
        return False
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    writer = EventFileWriter(str(part))
    for summary in summaries():
        writer.add_event(Event(summary=summary, step=0, wall_time=time))
    writer.close()
    (part / CONTENT).write_text(digest)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return True
