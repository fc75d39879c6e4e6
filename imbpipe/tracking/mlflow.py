"""MLflow: an experiment a data set, a run a setting, and under it a run a (seed, split)."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imbpipe.errors import ResultsError
from imbpipe.tracking.tracker import TRACKERS, Record, Tracked, Tracker
from imbpipe.types import Progress

RUN, SETTING = "imbpipe.run", "imbpipe.setting"
"""Tags that hold a record's key."""

MOST_METRICS = 1000
"""That MLflow takes at a time."""

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # seven as MLflow has it: four minutes of silence
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # whoever names a folder means it
}
"""Of the environment, unless it says otherwise."""


@TRACKERS.add("mlflow")
def mlflow_tracker(cache: Path) -> Tracker:
    """Where $MLFLOW_TRACKING_URI says, else sqlite:///mlflow.db; the experiment is the data set's name.

    $MLFLOW_EXPERIMENT_NAME names another experiment.

    Source: https://mlflow.org/docs/latest/ml/tracking/
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ImportError:
        raise ResultsError("--track mlflow needs MLflow", "Run: pip install 'imbpipe[mlflow]'") from None
    for library in ("mlflow", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    uri = mlflow.get_tracking_uri()
    tracker = _Mlflow(uri)
    try:
        tracker.client = mlflow.MlflowClient(uri)
        tracker.client.search_experiments(max_results=1)
    except Exception as error:
        raise tracker.refused(error) from None
    return tracker


class _Mlflow:
    client: Any

    def __init__(self, uri: str) -> None:
        self.uri = uri
        local = "" if uri.startswith("http") else f" (to look: mlflow ui --backend-store-uri {uri})"
        self.place = f"MLflow at {uri}{local}"

    def refused(self, error: Exception) -> ResultsError:
        """MLflow raises many kinds, its own, its database's, its HTTP library's."""
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        if "Max retries exceeded" in reason or "timed out" in reason:
            fact, mend = f"no answer from MLflow at {self.uri}", "Start it, or set MLFLOW_TRACKING_URI"
        elif isinstance(error, ImportError) or "unsupported URI" in reason:
            fact, mend = (
                f"MLflow lacks what it needs for {self.uri}",
                "Run: pip install 'imbpipe[mlflow]'",
            )
        else:
            fact, mend = f"MLflow at {self.uri} refuses: {reason[:200]}", "Check MLFLOW_TRACKING_URI"
        return ResultsError(fact, f"{mend}; results are kept, and the same command logs them")

    def log(self, tracked: Tracked, progress: Progress | None = None) -> int:
        """See `Tracker`."""
        try:
            return self._log(tracked, progress)
        except Exception as error:
            raise self.refused(error) from None

    def _log(self, tracked: Tracked, progress: Progress | None) -> int:
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or tracked.dataset)
        known = {key: run for run in self._runs(experiment) if (key := _key_of(run))}
        new = 0
        for done, record in enumerate(tracked.records, 1):
            kind = RUN if record.setting else SETTING
            run = known.get(record.key)
            finished = run is not None and run.info.status == "FINISHED"
            if run is None:
                tags = {**record.tags, kind: record.key}
                if record.setting:
                    tags["mlflow.parentRunId"] = known[record.setting].info.run_id
                run = self.client.create_run(
                    experiment, start_time=int(1000 * record.finished), tags=tags, run_name=record.name
                )
                known[record.key] = run
            self._bring_up_to_date(run, record, finished=finished)
            new += kind == RUN and not finished
            if progress is not None:
                progress(done, len(tracked.records))
        return new

    def _bring_up_to_date(self, run: Any, record: Record, *, finished: bool) -> None:
        """Write what the run lacks; of a setting, what more runs changed."""
        from mlflow.entities import Metric, Param, RunTag

        if finished and record.setting:
            return
        run_id, now = run.info.run_id, int(1000 * record.finished)
        metrics = [
            Metric(name, value, now, 0)
            for name, value in record.metrics.items()
            if run.data.metrics.get(name) != value
        ]
        params = [] if finished else [Param(name, str(value)) for name, value in record.params.items()]
        tags = [RunTag(*tag) for tag in record.tags.items() if run.data.tags.get(tag[0]) != tag[1]]
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])
        if params or tags:
            self.client.log_batch(run_id, params=params, tags=tags)
        if not finished:
            self.client.set_terminated(run_id, "FINISHED", now)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        return self.client.create_experiment(name) if found is None else found.experiment_id

    def _runs(self, experiment: str) -> Iterable[Any]:
        token = None
        while token != "":
            page = self.client.search_runs([experiment], max_results=1000, page_token=token)
            yield from page
            token = page.token or ""


def _key_of(run: Any) -> str:
    return run.data.tags.get(RUN) or run.data.tags.get(SETTING, "")
