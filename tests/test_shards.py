"""Parts of a data set that are encoded by commands of their own, and published when all are there."""

import contextlib
import itertools
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_encoder import ReadingEncoder
from store_faults import toy
from store_faults.command import in_one_process, photos, run

from imbpipe.cache import disk, opening
from imbpipe.cache.fill import fill
from imbpipe.cache.store import FeatureStore
from imbpipe.cache.worker import Worker
from imbpipe.datasets.load import load_dataset
from imbpipe.encoders.mean_colour import MeanColour


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty images in ten batches."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)


def extract(*options: object) -> Result:
    return run("extract", "--dataset", "photos", "--encoder", "mean-colour", "--batch-size", 2, *options)


def features(cache: str = "cache") -> bytes:
    (path,) = Path(cache).glob("photos/*/features.h5")
    return path.read_bytes()


def test_shards_in_any_order_and_pack_make_the_file_of_one_run() -> None:
    extract("--cache", "whole")
    for shard in ("3/3", "1/3"):
        assert "images are left to the other shards" in extract("--shard", shard).stdout
    last = extract("--shard", "2/3")
    assert (last.exit_code, last.stdout.splitlines()[-1]) == (
        0, "Shard 2/3 is done, and all others are. Run: imbpipe cache pack",
    )  # fmt: skip
    assert not list(Path("cache").glob("photos/*/features.h5"))
    packed = run("cache", "pack")
    assert (packed.exit_code, packed.stdout.rpartition(": ")[2]) == (0, "complete\n")
    assert features() == features("whole")
    assert run("cache", "pack").exit_code == 0


def test_packing_too_early_says_in_one_line_what_is_missing_and_which_shards_have_to_run() -> None:
    extract("--shard", "3/4")
    early = run("cache", "pack")
    assert early.exit_code == 1
    assert early.stderr == (
        "Error: 16 of 20 images are not encoded yet (first 'a/00.png'). Run: imbpipe extract "
        "--dataset photos --encoder mean-colour --shard 1/4, and the same with 2/4, 4/4\n"
    )
    for shard in ("1/4", "2/4"):
        extract("--shard", shard)
    assert run("cache", "pack").stderr.endswith("--encoder mean-colour --shard 4/4\n")


def test_a_shard_that_still_runs_is_waited_for(tmp_path: Path) -> None:
    extract("--shard", "2/2")
    store, data = FeatureStore("cache"), load_dataset("photos")
    spec = json.loads(next(Path("cache").glob("photos/*/SPEC.json")).read_text())
    with store.writer(data, "mean-colour", spec, batch_size=2, worker=0, workers=2):
        assert run("cache", "pack").stderr.endswith("Wait for --shard 1/2, still running\n")


def test_after_an_unsharded_run_that_was_cut_short_the_whole_command_is_named() -> None:
    extract("--shard", "1/2")
    data, store = load_dataset("photos"), FeatureStore("cache")
    fill(store, data, MeanColour(), batch_size=2, should_stop=iter([False, True]).__next__)
    assert run("cache", "pack").stderr.endswith(
        "Run: imbpipe extract --dataset photos --encoder mean-colour\n"
    )


@settings(max_examples=20)
@given(
    runs=st.lists(
        st.integers(1, 6).flatmap(
            lambda count: st.tuples(st.integers(0, count - 1), st.just(count), st.integers(0, 6))
        ),
        max_size=6,
    ),
    last=st.integers(1, 5),
)
def test_however_the_number_of_shards_changes_no_row_is_lost_or_encoded_twice(
    tmp_path_factory: pytest.TempPathFactory, runs: list, last: int
) -> None:
    shelf = toy.shelf(tmp_path_factory.mktemp("shelf"))
    encoded: list[str] = []

    def work(number: int, count: int, batches: int) -> None:
        sink = shelf.store.writer(
            shelf.dataset, toy.ENCODER, shelf.spec, batch_size=4, worker=number, workers=count
        )
        with sink:
            for batch in itertools.islice(sink.pending, batches):
                encoded.extend(shelf.dataset.ids[row] for row in toy.encode_batch(sink, batch, shelf.spec))

    for number, count, batches in runs:
        work(number, count, batches)
    for number in range(last):
        work(number, last, 40)
    assert sorted(encoded) == sorted(shelf.dataset.ids)
    shelf.pack()
    assert np.array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec, batch_size=4))


def test_a_shard_waits_longer_than_a_lone_run_while_others_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    extract("--shard", "1/2")
    (lock,) = Path("cache").glob("photos/*/LOCK")
    with contextlib.ExitStack() as planning:
        planning.enter_context(disk.locked(lock, patience=0))
        assert "another process holds" in extract().stderr
        threading.Timer(0.5, planning.close).start()
        assert extract("--shard", "2/2").exit_code == 0
    assert run("cache", "pack").exit_code == 0


def test_a_shard_that_died_loses_its_torn_record_and_no_other(tmp_path: Path) -> None:
    shelf = toy.shelf(tmp_path / "shelf")
    shelf.extract(worker=1, workers=2)
    part = shelf.folder.part(1)
    part.write_bytes(part.read_bytes()[:-5])
    assert len(shelf.extract(worker=1, workers=2)) == 8, "one batch"
    shelf.extract(worker=0, workers=2)
    assert shelf.pack().read_bytes() == toy.unbroken(tmp_path / "unbroken", shelf.dataset, shelf.spec)


def test_bad_images_are_set_aside_by_shards_as_by_one_run() -> None:
    for name in ("a/00", "b/01", "a/04"):
        Path(f"photos/{name}.png").write_bytes(b"no image")
    one = extract("--shard", "1/2")
    assert one.exit_code == 3
    assert "Set aside: photos/a/00.png: a text file" in one.stderr
    two = extract("--shard", "2/2", "--max-bad", "0.1")
    assert two.exit_code == 1
    assert "3 of 20 images are set aside, more than --max-bad 0.1 allows" in two.stderr
    assert run("cache", "pack", "--max-bad", "0.1").exit_code == 1
    packed = run("cache", "pack")
    assert (packed.exit_code, packed.stdout.rpartition(": ")[2]) == (3, "complete, 3 quarantined\n")


def test_the_class_names_are_encoded_by_the_first_shard_alone() -> None:
    encoder = ReadingEncoder()
    for number in (1, 0):
        fill(FeatureStore("cache"), load_dataset("photos"), encoder, shard=Worker(number, 2))
        assert len(encoder.read) == (0 if number else 4), "two captions of two classes"


def test_what_shards_would_do_is_told_for_all_together() -> None:
    told = extract("--shard", "1/2", "--dry-run").stdout
    assert told.startswith("photos by mean-colour: would encode 20 of 20 images")
    assert told.endswith("by all 2 shards together.\n")


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        (("--shard", "3/2"), "'3/2' is no part: give 1/8 to 8/8."),
        (("--shard", "0/2"), "'0/2' is no part"),
        (("--shard", "half"), "'half' is no part"),
        (("--shard", "1/2", "--engine", "ray"), "--shard with --engine ray, which shares out by itself"),
        (("--shard", "1/2", "--batch-size", "auto"), "shards that choose a batch size each would differ"),
        (("--jobs", "2"), "--jobs is for --engine slurm"),
        (("--time", "1:00:00"), "--time is for --engine slurm"),
        (("--time", "soon"), "'soon' is no time: give minutes, HH:MM:SS or D-HH:MM:SS."),
        (("--sbatch", "account"), "'account' is no option of sbatch"),
        (("--address", "auto"), "--address is for --engine ray"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_meant_are_refused(options: tuple, fact: str) -> None:
    refused = extract(*options)
    assert refused.exit_code == 2
    assert fact in refused.stderr


def test_nothing_to_pack_is_no_error() -> None:
    assert run("cache", "pack").exit_code == 0
    assert run("cache", "pack", "--dataset", "photos").exit_code == 1
