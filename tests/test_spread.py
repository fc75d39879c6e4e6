"""Encoding in pieces, wherever these are computed."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cluster.setting import Setting
from reading_encoder import ReadingEncoder
from store_faults import toy
from store_faults.command import in_one_process, photos, run
from store_faults.kills import fork, wait

from imbpipe.cache.fill import fill
from imbpipe.cache.growth import Growth
from imbpipe.cache.pieces import open_pieces
from imbpipe.cache.rates import Rates
from imbpipe.cache.shards import EncodeShard, fill_by_shards
from imbpipe.cache.spread import spread
from imbpipe.cache.store import FeatureStore
from imbpipe.cache.worker import Worker
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import STRICT
from imbpipe.encoders.mean_colour import MeanColour
from imbpipe.encoders.recipe import Recipe
from imbpipe.errors import ClusterError, DatasetError, ImbpipeError, StoreError, UsageError
from imbpipe.extract import ray_engine
from imbpipe.extract.engine import Job, Posted, opened
from imbpipe.extract.slurm_engine import Queue, SlurmEngine

RECIPE = Recipe("mean-colour", device="cpu")


@dataclass
class Here:
    """An engine of this process: jobs one after the other. before: called with each job first."""

    slots: int = 2
    name: str = "here"
    before: Callable[[Any], None] = lambda job: None

    def run(self, jobs: Sequence[Job]) -> Iterator[Any]:
        for job in jobs:
            yield None
            self.before(job)
            yield opened(Posted.here(job)())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    """An empty one, and twenty images beside it."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)
    return FeatureStore(Path("cache"))


def result(store: FeatureStore) -> bytes:
    (path,) = store.root.glob("*/*/features.h5")
    return path.read_bytes()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> toy.Shelf:
    toy.without_syncing(monkeypatch)
    return toy.shelf(tmp_path, n=45)


def pieces(shelf: toy.Shelf, count: int, **options: Any) -> list:
    options = {"batch_size": 4, "rehash": False, **options}
    return open_pieces(shelf.root, shelf.dataset, shelf.encoder, shelf.spec, count, **options)[1]


def encode(shelf: toy.Shelf, piece: Any, most: int = 99) -> list[str]:
    """The ids that were encoded of a piece, of at most so many batches."""
    sink, _ = piece.open(shelf.spec)
    done: list[str] = []
    with sink:
        for batch in sink.pending[:most]:
            done += [piece.plan.ids[row] for row in toy.encode_batch(sink, batch, shelf.spec)]
    return done


# pieces of a plan


@pytest.mark.parametrize("count", [1, 3, 5, 12, 50])
def test_pieces_hold_every_row_once_and_make_the_file_of_an_unbroken_run(
    shelf: toy.Shelf, tmp_path: Path, count: int
) -> None:
    encoded = [name for piece in pieces(shelf, count) for name in encode(shelf, piece)]
    assert encoded == list(shelf.dataset.ids)
    shelf.pack()
    assert np.array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec, batch_size=4))


def test_a_piece_whose_process_was_killed_is_taken_up_where_it_was_committed(shelf: toy.Shelf) -> None:
    (piece,) = pieces(shelf, 1)

    def die() -> None:
        sink, _ = piece.open(shelf.spec)
        for batch in sink.pending[:5]:
            toy.encode_batch(sink, batch, shelf.spec)
        sink.commit()
        os.kill(os.getpid(), signal.SIGKILL)

    assert wait(fork(die), None) == -signal.SIGKILL
    again, found = piece.open(shelf.spec)
    with again:
        assert (found, len(again.pending)) == (20, 7)
        for batch in again.pending:
            toy.encode_batch(again, batch, shelf.spec)
    shelf.pack()
    assert np.array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec, batch_size=4))


def test_a_machine_that_only_seemed_lost_doubles_no_row(shelf: toy.Shelf, tmp_path: Path) -> None:
    (piece,) = pieces(shelf, 1)
    lost, _ = piece.open(shelf.spec)
    toy.encode_batch(lost, lost.pending[0], shelf.spec)
    lost.commit()
    assert encode(shelf, piece) == list(shelf.dataset.ids[4:])
    for batch in lost.pending[1:3]:
        toy.encode_batch(lost, batch, shelf.spec)
    lost.close()
    assert len(shelf.folder.journals()) == 2
    shelf.pack()
    assert np.array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec, batch_size=4))
    assert shelf.folder.journals() == []


def test_nothing_is_cut_into_pieces_while_another_process_writes(shelf: toy.Shelf) -> None:
    with (
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=4),
        pytest.raises(StoreError, match=rf"process {os.getpid()} on .* is writing .*Wait until it is done"),
    ):
        pieces(shelf, 2)


def test_a_machine_that_does_not_see_the_files_is_told_and_sets_no_image_aside(shelf: toy.Shelf) -> None:
    (piece,) = pieces(shelf, 1)
    with pytest.raises(ClusterError, match=r"does not see the store's folder .*a file system of all nodes"):
        replace(piece, folder=shelf.root / "elsewhere").open(shelf.spec)
    moved = piece.plan.only(np.arange(45))
    moved.paths = tuple(f"/nowhere/{name}" for name in moved.ids)
    with pytest.raises(ClusterError, match="does not see the image /nowhere/image0000"):
        replace(piece, plan=moved).open(shelf.spec)
    Path(shelf.dataset.images[3]).unlink()
    assert (
        len(encode(toy.Shelf(shelf.root, toy.rows_of(shelf.dataset, [0, 1, 2]), shelf.spec), piece, 0)) == 0
    )


def test_growth_is_what_was_appended_since(shelf: toy.Shelf) -> None:
    first, second = pieces(shelf, 2)
    encode(shelf, first)
    growth = Growth(shelf.root, shelf.dataset.name, shelf.encoder)
    assert growth.rows() == 0
    done = len(encode(shelf, second))
    assert done <= growth.rows() <= done + 45 // 4


# a run as a whole


def test_what_machines_encode_is_byte_by_byte_what_one_run_encodes(store: FeatureStore) -> None:
    Path("photos/a/04.png").write_bytes(b"no image")
    data = load_dataset("photos")
    bars: list[tuple[int, int]] = []
    about, summary = spread(
        store, data, RECIPE, Here(), batch_size=3, progress=lambda *done: bars.append(done)
    )
    whole = FeatureStore(Path("whole"))
    fill(whole, data, RECIPE.load(), batch_size=3)
    assert result(store) == result(whole)
    assert (about.name, about.reads) == ("mean-colour", False)
    assert (summary.encoded, summary.stopped, len(summary.quarantined)) == (19, False, 1)
    assert (bars[0], bars[-1]) == ((0, 20), (20, 20))
    assert Rates(store.root).seconds("encode mean-colour here", 19) == pytest.approx(summary.seconds)
    again = spread(store, data, RECIPE, Here(), batch_size=3)[1]
    assert again.encoded == 0


def test_a_run_that_is_stopped_keeps_what_was_encoded_and_says_how_much(store: FeatureStore) -> None:
    data = load_dataset("photos")
    asked: list[None] = []

    def after_five_pieces() -> bool:
        asked.append(None)
        return len(asked) > 11

    _, first = spread(store, data, RECIPE, Here(), batch_size=2, should_stop=after_five_pieces)
    assert (first.stopped, first.encoded) == (True, 10)
    _, second = spread(store, data, RECIPE, Here(), batch_size=2)
    assert (second.stopped, second.encoded) == (False, 10)


def test_too_many_bad_images_on_all_machines_together_end_the_run(store: FeatureStore) -> None:
    for name in ("a/00", "b/19"):
        Path(f"photos/{name}.png").write_bytes(b"no image")
    data = load_dataset("photos")
    with pytest.raises(DatasetError, match=r"2 of 20 images cannot be read, more than --max-bad 0\.05"):
        spread(store, data, RECIPE, Here(), batch_size=2, max_bad=0.05)
    assert spread(store, data, RECIPE, Here(), batch_size=2, max_bad=0.1)[1].encoded <= 18


def test_a_machine_with_another_encoder_is_refused_by_the_field_that_differs(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Newer(MeanColour):
        def __init__(self) -> None:
            super().__init__()
            self.identity = {**self.identity, "version": len(made)}
            made.append(self)

    made: list[MeanColour] = []
    monkeypatch.setattr(Recipe, "load", lambda recipe: Newer())
    monkeypatch.setattr("imbpipe.cache.spread._loaded", lambda recipe: recipe.load())
    with pytest.raises(ClusterError, match=r"encode with other encoder.version \(0, now 1\)"):
        spread(store, load_dataset("photos"), RECIPE, Here())


def test_class_names_are_encoded_once_whatever_the_number_of_machines(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ReadingEncoder()
    monkeypatch.setattr("imbpipe.cache.spread._loaded", lambda recipe: encoder)
    data = load_dataset("photos")
    for _ in range(2):
        spread(store, data, RECIPE, Here(), templates=("this is {}.",))
        assert encoder.read == ["this is a.", "this is b."]
    assert store.load("photos", "mean-colour").text is not None


def test_captions_for_an_encoder_that_reads_none_are_refused_by_machines_too(store: FeatureStore) -> None:
    with pytest.raises(UsageError, match="which reads none"):
        spread(store, load_dataset("photos"), RECIPE, Here(), templates=("a photo of {}",))


def test_an_error_of_a_job_arrives_as_it_was_raised() -> None:
    def fail() -> None:
        raise StoreError("a fact", "A remedy")

    import pickle

    answer = pickle.loads(pickle.dumps(Posted.here(fail)()))
    with pytest.raises(StoreError) as caught:
        opened(answer)
    assert (caught.value.fact, caught.value.remedy) == ("a fact", "A remedy")


def test_a_machine_without_the_folder_is_told(tmp_path: Path) -> None:
    answer = Posted(lambda: 1, tmp_path / "gone")()
    assert isinstance(answer, ImbpipeError)
    assert "cannot enter" in str(answer)


# what is not there


@pytest.mark.parametrize(
    ("engine", "fact"),
    [
        ("ray", "ray is not installed. Run: pip install 'imbpipe[ray]'"),
        ("slurm", "submitit is not installed. Run: pip install 'imbpipe[slurm]'"),
    ],
)
def test_an_engine_that_is_not_installed_is_told_with_the_command(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, engine: str, fact: str
) -> None:
    for name in ("ray", "submitit"):
        monkeypatch.setitem(sys.modules, name, None)
    refused = run("extract", "--dataset", "photos", "--encoder", "mean-colour", "--engine", engine, *(
        ("--address", "auto") if engine == "ray" else ()
    ))  # fmt: skip
    assert (refused.exit_code, refused.stderr) == (2, f"Error: {fact}\n")


def test_a_machine_without_slurm_is_told(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(store.root))
    refused = run("extract", "--dataset", "photos", "--engine", "slurm")
    assert (refused.exit_code, refused.stderr) == (
        1, "Error: there is no sbatch on this machine. Run it where SLURM jobs are submitted, or give each "
        "job a part with --shard\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "status", "fact"),
    [
        ("127.0.0.1:1", 1, "no Ray cluster at 127.0.0.1:1 (Connection refused). Start one there"),
        ("ray://head:10001", 2, "a driver outside of the cluster is not supported"),
        ("head", 2, "--address 'head' is no address. Give HOST:PORT, or auto"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_at_once(
    store: FeatureStore, address: str, status: int, fact: str
) -> None:
    refused = run("extract", "--dataset", "photos", "--engine", "ray", "--address", address)
    assert refused.exit_code == status
    assert fact in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        ("W gcs_client.cc:210: InvalidAuthToken: missing or incorrect", "refuses the token"),
        ("W rpc_client.h:153: Failed to connect to GCS at address", "does not answer as a Ray cluster"),
        ("", "does not answer as a Ray cluster"),
        ("Traceback …\nRuntimeError: Version mismatch: 2.50 and 2.60\n", "Version mismatch: 2.50 and 2.60"),
        ("Could not find any running Ray instance", "no Ray cluster runs on this machine"),
    ],
)
def test_what_ray_says_of_a_failed_connection_becomes_one_line(told: str, fact: str) -> None:
    assert fact in str(ray_engine._refused("host:1", told))


# SLURM, by processes of this machine in the place of jobs


def test_jobs_that_are_preempted_go_on_and_make_the_file_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(tmp_path, 40)
    for name in ("PYTHONPATH", "TOLD"):
        monkeypatch.setenv(name, setting.env[name])
    monkeypatch.chdir(tmp_path)
    setting.encode_here("local")
    setting.hold.touch()
    store, data = FeatureStore(Path("cache")), load_dataset("photos")
    whole = EncodeShard(store, "photos", None, STRICT, Recipe("telling"), Worker(), {"batch_size": 4})
    engine = SlurmEngine(Queue(jobs=2, gpus=0, cpus=1, logs=tmp_path / "logs"), cluster="local")

    def preempt_the_first(done: int, total: int) -> None:
        if setting.hold.exists() and setting.told():
            os.kill(setting.told()[0][0], signal.SIGUSR2)
            setting.hold.unlink()

    about, summary = fill_by_shards(data, whole, engine, progress=preempt_the_first)
    assert len({process for process, _ in setting.told()}) == 3, "two jobs, one of them begun twice"
    assert setting.features() == setting.features("local")
    assert about.name == "telling"
    assert not summary.stopped
