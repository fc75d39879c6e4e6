"""`--track`: what MLflow and TensorBoard read back is what the result store holds, and never twice."""

import builtins
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from PIL import Image
from store_faults.command import in_one_process, photos, run

from imbpipe.tracking.mlflow import DEFAULTS
from imbpipe.tracking.tracker import TRACKERS

CLASSES = ("sea/air", "sea:air")
"""Names that MLflow would take for a path, or for one another once that is mended."""

EXPERIMENT = """
datasets = ["photos.csv"]
encoders = ["mean-colour"]
seeds = 2
splits = {splits}
[protocol]
epochs = 1
[[strategies]]
strategy = "oversample"
[[strategies]]
strategy = "upweight"
factor = [2, 5]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which an experiment of 4 settings x 2 splits x 2 seeds was run and not logged."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        in_one_process(patch)
        patch.chdir(folder)
        photos(folder)
        rows = [f"photos/{'ab'[n % 2]}/{n:02}.png,{CLASSES[n % 2]}\n" for n in range(20)]
        (folder / "photos.csv").write_text("image,label\n" + "".join(rows))
        write(2)
        assert run("extract", "--encoder", "mean-colour", "--dataset", "photos.csv").exit_code == 0
        assert run("compare", "mine.toml").exit_code == 0
    return folder


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which commands run; MLflow keeps its runs in the folder `mlruns`."""
    shutil.copytree(finished, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    in_one_process(monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "work/mlruns"))
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    for name in DEFAULTS:
        monkeypatch.setenv(name, "restored")
        monkeypatch.delenv(name)
    return tmp_path / "work"


def write(splits: int) -> None:
    Path("mine.toml").write_text(EXPERIMENT.format(splits=splits))


def compare(tracker: str) -> Result:
    return run("compare", "mine.toml", "--track", tracker)


def mlflow_runs(experiment: str = "photos") -> list:
    import mlflow

    client = mlflow.MlflowClient(str(Path("mlruns").resolve()))
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)


def stored() -> pd.DataFrame:
    return pd.read_parquet("cache/runs")


def test_every_run_is_in_mlflow_under_its_setting_with_its_parameters_and_metrics(here: Path) -> None:
    result = compare("mlflow")
    assert result.exit_code == 0, result.output
    assert f"Logged 16 runs, 0 were there: MLflow at {here}/mlruns" in result.stderr
    runs = mlflow_runs()
    settings = {run.info.run_id: run for run in runs if "imbpipe.setting" in run.data.tags}
    assert len(settings) == 4
    assert len(runs) == 20
    wanted = stored().groupby("run")
    for each in runs:
        assert each.info.status == "FINISHED"
        if each.info.run_id in settings:
            continue
        rows = wanted.get_group(each.data.tags["imbpipe.run"])
        parent = settings[each.data.tags["mlflow.parentRunId"]]
        assert parent.data.params["strategy"] == rows["strategy"].iloc[0] == each.data.params["strategy"]
        given = json.loads(rows["parameters"].iloc[0])
        assert {name: each.data.params[name] for name in given if given[name] is not None} == {
            name: str(value) for name, value in given.items() if value is not None
        }
        assert each.data.params["seed"] == str(rows["seed"].iloc[0])
        assert each.data.params["split"] == rows["split"].iloc[0]
        assert each.data.params["epochs"] == "1"
        found = {name: value for name, value in each.data.metrics.items() if name.startswith("ap/")}
        assert len(found) == 2
        assert sorted(found.values()) == pytest.approx(sorted(rows["ap"]))
        low = rows.loc[rows["low_frequency"], "auroc"].mean()
        assert each.data.metrics["auroc_low_frequency"] == pytest.approx(low)
        assert each.data.tags["imbpipe.features"]


def test_a_setting_carries_the_difference_that_the_table_shows(here: Path) -> None:
    assert compare("mlflow").exit_code == 0
    ranking = pd.read_parquet("cache/tables/ranking-mine.parquet").set_index("strategy")
    oversample = next(run for run in mlflow_runs() if run.info.run_name == "oversample")
    for name, column in (("", "estimate"), ("_from", "low"), ("_to", "high"), ("_p", "p")):
        found = oversample.data.metrics[f"ap_difference_low_frequency{name}"]
        assert found == pytest.approx(ranking.loc["oversample", f"on_low_frequency.{column}"])
    verdict = ranking.loc["oversample", "on_low_frequency.verdict"]
    assert oversample.data.tags["ap_difference_low_frequency_verdict"] == verdict
    assert oversample.data.metrics["runs"] == 4


@pytest.mark.parametrize("tracker", ["mlflow", "tensorboard"])
def test_logging_again_logs_nothing_twice_and_more_splits_log_the_new_runs_alone(
    here: Path, tracker: str
) -> None:
    assert "Logged 16 runs, 0 were there" in compare(tracker).stderr
    assert "Logged 0 runs, 16 were there" in compare(tracker).stderr
    write(3)
    assert "Logged 8 runs, 16 were there" in compare(tracker).stderr
    if tracker == "mlflow":
        runs = mlflow_runs()
        assert len(runs) == 4 + 24
        baseline = next(run for run in runs if run.info.run_name == "baseline")
        assert baseline.data.metrics["runs"] == 6
    else:
        assert len(list(Path("cache/tensorboard").rglob("seed*/events*"))) == 24


def test_a_run_whose_logging_was_cut_off_is_completed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    real, calls = MlflowClient.log_batch, []

    def log_batch(*given, **named) -> None:
        calls.append(1)
        if len(calls) == 12:
            raise OSError("No space left on device")
        real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", log_batch)
        result = compare("mlflow")
    assert result.exit_code == 1
    assert "against baseline" in result.stdout  # the results come first
    assert result.stderr.endswith(
        "refuses: No space left on device. Check MLFLOW_TRACKING_URI; results are kept, and the same command "
        "logs them\n"
    )
    assert compare("mlflow").exit_code == 0
    runs = mlflow_runs()
    assert len(runs) == 20
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all("ap_low_frequency" in run.data.metrics for run in runs)


def test_train_logs_what_its_table_shows_into_the_experiment_that_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine / 1")
    command = ("train", "--dataset", "photos.csv", "--strategy", "oversample", "--seeds", 3, "--epochs", 1)
    result = run(*command, "--track", "mlflow")
    assert result.exit_code == 0, result.output
    table = json.loads(run(*command, "--json").stdout)
    wanted = next(row for row in table if row["strategy"] == "oversample")["difference"]
    oversample = next(run for run in mlflow_runs("mine / 1") if run.info.run_name == "oversample")
    assert oversample.data.metrics["ap_difference_low_frequency_from"] == pytest.approx(wanted["low"])


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own use of its database
def test_mlflow_keeps_runs_in_a_database_as_well(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/mlflow.db")
    result = compare("mlflow")
    assert result.exit_code == 0, result.output
    client = mlflow.MlflowClient(f"sqlite:///{here}/mlflow.db")
    (experiment,) = (each for each in client.search_experiments() if each.name == "photos")
    assert len(client.search_runs([experiment.experiment_id])) == 20


def test_a_server_that_does_not_answer_is_one_line_before_anything_is_trained(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree("cache/runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    result = compare("mlflow")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: no answer from MLflow at http://127.0.0.1:9. Start it, or set MLFLOW_TRACKING_URI; results "
        "are kept, and the same command logs them\n"
    )
    assert not Path("cache/runs").exists()


@pytest.mark.parametrize("tracker", list(TRACKERS))
def test_a_library_that_is_missing_is_named_with_its_extra(
    here: Path, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    real = builtins.__import__

    def without(name: str, *given, **named):
        if name == tracker:
            raise ImportError(name=name)
        return real(name, *given, **named)

    monkeypatch.delitem(sys.modules, tracker, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    result = compare(tracker)
    assert result.exit_code == 1
    assert result.stderr.endswith(f"Run: pip install 'imbpipe[{tracker}]'\n")


def test_no_telemetry_is_sent(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.telemetry import utils

    assert compare("mlflow").exit_code == 0
    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)  # where it is off in any case
    assert utils.is_telemetry_disabled()


def test_tensorboard_reads_scalars_hyper_parameters_and_the_projectors_files(here: Path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util import tensor_util

    result = compare("tensorboard")
    assert result.stderr.endswith(
        "Logged 16 runs, 0 were there: cache/tensorboard (to look: tensorboard --logdir cache/tensorboard)\n"
    )
    events = EventMultiplexer().AddRunsFromDirectory("cache/tensorboard").Reload()
    runs = {name: each for name, each in events.Runs().items() if "/seed" in name}
    assert len(runs) == 16
    groups = set()
    for name in runs:
        _, encoder, setting, last = name.split("/")
        rows = stored()
        rows = rows[rows["run"].str.startswith(last.rpartition("-")[2])]
        assert encoder == "mean-colour"
        assert setting.startswith(rows["strategy"].iloc[0])
        value = tensor_util.make_ndarray(events.Tensors(name, "ap_low_frequency")[0].tensor_proto)
        assert value == pytest.approx(rows.loc[rows["low_frequency"], "ap"].mean())
        content = events.SummaryMetadata(name, "_hparams_/session_start_info").plugin_data.content
        start = HParamsPluginData.FromString(content).session_start_info
        assert start.hparams["epochs"].number_value == 1
        groups.add((setting, start.group_name))
    assert len(groups) == 4
    features = Path("cache/tensorboard/photos/mean-colour/features")
    assert np.loadtxt(features / "tensors.tsv").shape == (20, 3)
    metadata = pd.read_csv(features / "metadata.tsv", sep="\t")
    assert metadata["id"][0] == "photos/a/00.png"
    sprite = Image.open(features / "sprite.png")
    assert sprite.size == (5 * 48, 5 * 48)
    assert sprite.getpixel((24, 24)) == (0, 0, 0)
    assert sprite.getpixel((3 * 48 + 24, 24)) == (30, 30, 30)
    assert "sprite {" in (features / "projector_config.pbtxt").read_text()


def test_a_name_of_no_tracker_is_a_usage_error(here: Path) -> None:
    result = compare("mlfow")
    assert result.exit_code == 2
    assert "no tracker named 'mlfow'. Did you mean 'mlflow'?" in result.stderr
