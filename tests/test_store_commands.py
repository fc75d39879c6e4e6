"""`imbpipe extract` and `imbpipe cache` as a person meets them: what is told, and how each ends."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_faults import toy
from store_faults.command import in_one_process, paint, photos, run

from imbpipe.cache.layout import Folder
from imbpipe.cache.store import FeatureStore
from imbpipe.encoders.checkpoint import tensors_sha256
from imbpipe.encoders.mean_colour import MeanColour
from imbpipe.errors import StoreError
from imbpipe.extract import pixels
from imbpipe.extract import spec as extract_spec
from imbpipe.types import Features

EXTRACT = ("extract", "--encoder", "mean-colour", "--dataset", "photos", "--batch-size", "4")
EXPORT = ("cache", "export", "--dataset", "photos", "--encoder", "mean-colour")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 20 images in two classes, in which commands run."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)
    return tmp_path


@pytest.fixture
def folder(here: Path) -> Folder:
    """The features of those images."""
    assert run(*EXTRACT).exit_code == 0
    return Folder(next(Path("cache").rglob("features.h5")).parent)


def damage(folder: Folder) -> None:
    """Flip a bit in the first row."""
    with h5py.File(folder.features) as file:
        place = file["features"].id.get_chunk_info(0).byte_offset
    folder.features.chmod(0o644)
    data = bytearray(folder.features.read_bytes())
    data[place] ^= 1
    folder.features.write_bytes(data)


def during_the_second_batch(patch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Let `do` happen while a batch is encoded."""
    real, calls = MeanColour.encode, []

    def encode(encoder: MeanColour, pixels: object) -> Features:
        calls.append(1)
        if len(calls) == 2:
            do()
        return real(encoder, pixels)

    patch.setattr(MeanColour, "encode", encode)


INTERRUPTED = """
import os, sys
from imbpipe.cli import main
from imbpipe.encoders.mean_colour import MeanColour

real, calls = MeanColour.encode, []

def encode(encoder, pixels):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), int(sys.argv[1]))
    return real(encoder, pixels)

MeanColour.encode = encode
main(sys.argv[2:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_extraction_with_status_75_and_the_same_command_goes_on(
    here: Path, number: signal.Signals
) -> None:
    """In a process of its own, as a signal is the process's."""
    command = [sys.executable, "-c", INTERRUPTED, str(int(number)), *EXTRACT]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 75, result.stderr
    assert result.stderr == "Interrupted. What was encoded is safe; the same command goes on from here.\n"
    (kept,) = map(int, re.findall(r"(\d+) images encoded, 0 already there", result.stdout))
    assert kept < 20
    assert f"partial {kept} of 20" in run("cache", "list").stdout
    assert run(*EXPORT, "--format", "npy", "x").exit_code == 1
    result = run(*EXTRACT)
    assert result.exit_code == 0
    assert f"{20 - kept} images encoded, {kept} already there" in result.stdout
    assert len(FeatureStore("cache").load("photos", "mean-colour").ids) == 20


def test_a_second_extraction_at_the_same_time_gets_a_clear_error_and_harms_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = []
    with monkeypatch.context() as patch:
        command = [sys.executable, "-m", "imbpipe", *map(str, EXTRACT)]
        again = partial(subprocess.run, command, capture_output=True, text=True, check=False)
        during_the_second_batch(patch, lambda: second.append(again()))
        assert run(*EXTRACT).exit_code == 0
    (refused,) = second
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: another process is writing cache/photos/mean-colour-")
    assert refused.stderr.endswith("part-0000.jnl. Wait until it is done, or stop it, and run this again\n")
    assert run("cache", "verify", "--images", "--recompute", 20).exit_code == 0


class Harm:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("harm",)


def test_a_checkpoint_that_would_run_code_is_refused_by_name_and_runs_nothing(here: Path) -> None:
    Path("mine.pth").write_bytes(pickle.dumps(Harm()))
    result = run("extract", "--encoder", "resnet18", "--weights", "mine.pth", "--dataset", "photos")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "mine.pth" in result.stderr
    assert {path.name for path in here.iterdir()} == {"photos", "mine.pth"}


def encoder_field(patch: pytest.MonkeyPatch) -> None:
    real = MeanColour.__init__

    def init(encoder: MeanColour) -> None:
        real(encoder)
        encoder.identity = {**encoder.identity, "preprocessing": {"size": 336}}

    patch.setattr(MeanColour, "__init__", init)


def weights(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("imbpipe.encoders.mean_colour.tensors_sha256", lambda tensors: tensors_sha256({}) + "0")


def decoding(patch: pytest.MonkeyPatch) -> None:
    changed = {**pixels.DECODE_POLICY, "alpha": "composited on (255, 255, 255)"}
    patch.setattr(pixels, "DECODE_POLICY", changed)


def version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(extract_spec, "EXTRACTOR_VERSION", extract_spec.EXTRACTOR_VERSION + 1)


@pytest.mark.parametrize("change", [encoder_field, weights, decoding, version])
def test_whatever_changes_a_feature_encodes_every_image_again_beside_the_old_ones(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    before = folder.features.read_bytes()
    change(monkeypatch)
    result = run("cache", "verify", "--recompute", 3)
    assert result.exit_code == 1
    assert "cannot be encoded again: it was made with other " in result.stderr
    assert "20 images encoded, 0 already there" in run(*EXTRACT).stdout
    assert folder.features.read_bytes() == before
    result = run(*EXPORT, "--format", "npy", "x")
    assert result.exit_code == 1
    assert "2 sets of features of 'photos' by 'mean-colour'" in result.stderr
    assert "Say which with --key, or remove one" in result.stderr
    assert run(*EXPORT, "--key", folder.key, "--format", "npy", "x").exit_code == 0


def test_features_of_another_type_are_a_set_of_their_own(folder: Folder) -> None:
    assert "20 images encoded, 0 already there" in run(*EXTRACT, "--dtype", "float16").stdout
    assert run(*EXTRACT).stdout.count("0 images encoded, 20 already there") == 1


def test_a_changed_label_file_encodes_nothing_and_is_never_read_stale(here: Path) -> None:
    names = [f"photos/{'ab'[row % 2]}/{row:02}.png" for row in range(20)]
    table = here / "labels.csv"
    table.write_text(
        "image,label\n" + "".join(f"{name},{'xyz'[row % 3]}\n" for row, name in enumerate(names))
    )
    extract = ("extract", "--encoder", "mean-colour", "--dataset", "labels.csv")
    train = ("train", "--dataset", "labels.csv", "--seeds", 1, "--epochs", 1)
    assert run(*extract).exit_code == 0
    table.write_text(table.read_text().replace("00.png,x", "00.png,z"))
    result = run(*train)
    assert result.exit_code == 1
    assert "the labels of 1 images changed since extraction (first 'photos/a/00.png')" in result.stderr
    assert "Run: imbpipe extract --dataset labels --encoder mean-colour" in result.stderr
    assert "0 images encoded, 20 already there" in run(*extract).stdout
    features = FeatureStore("cache").load("labels", "mean-colour")
    assert features.labels[0].tolist() == [False, False, True]


def test_features_that_are_not_finite_end_the_command_by_the_images_name(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MeanColour, "encode", lambda encoder, pixels: np.full((4, 3), np.nan, np.float32))
        result = run(*EXTRACT)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: the features of 'a/00.png' are not finite as float32. Check the encoder's weights\n"
    )
    assert "20 images encoded, 0 already there" in run(*EXTRACT).stdout


def test_a_full_disk_ends_the_command_and_the_same_command_finishes_once_there_is_room(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", full_after(6))
        result = run(*EXTRACT)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the disk is full at cache/photos/mean-colour-")
    assert result.stderr.endswith("rows of this run are safe). Free space and run the same command again\n")
    assert run(*EXTRACT).exit_code == 0
    assert run("cache", "verify", "--images", "--recompute", 20).exit_code == 0


def full_after(writes: int) -> Callable[[int, list], int]:
    real, left = os.writev, [writes]

    def writev(fd: int, buffers: list) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(fd, buffers)

    return writev


def test_list_and_info_say_what_there_is(folder: Folder) -> None:
    listed = run("cache", "list").stdout.splitlines()
    assert listed[0].split()[2:] == ["encoder", "weights", "key", "rows", "dim", "dtype", "MB", "state"]
    assert listed[1].split()[:7] == ["photos", "mean-colour", "pretrained", folder.key, "20", "3", "float32"]
    assert listed[1].endswith("complete")
    (entry,) = json.loads(run("cache", "list", "--json").stdout)
    assert (entry["rows"], entry["complete"], entry["path"]) == (20, True, str(folder.path))
    told = run("cache", "info").stdout
    assert f"{folder.path}: complete" in told
    assert "encoder.architecture  mean-colour" in told
    (entry,) = json.loads(run("cache", "info", "--json", "--key", folder.key[:4]).stdout)
    assert entry["spec"]["decode"]["alpha"] == "composited on (0, 0, 0)"


def test_an_empty_cache_is_told_with_the_command_that_fills_it(here: Path) -> None:
    result = run("cache", "list")
    assert (result.exit_code, result.stderr) == (
        0,
        "No features in cache. Run: imbpipe extract --encoder resnet18\n",
    )


def test_verify_ends_with_0_where_all_is_well(folder: Folder) -> None:
    result = run("cache", "verify", "--images", "--recompute", 5)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"{folder.path}: 20 rows verified; 20 images compared, 0 not here; "
        "5 rows encoded again, largest difference 0.0e+00, 0 whose image is not here; no problem\n"
    )


def test_verify_ends_with_1_and_names_the_image_that_changed(folder: Folder) -> None:
    paint(Path("photos/a/04.png"), 250)
    assert run("cache", "verify").exit_code == 0
    result = run("cache", "verify", "--images", "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)
    assert found["problems"] == ["image 'a/04.png' at photos/a/04.png is not the one that was encoded"]
    assert "imbpipe cache repair, then the extraction again" in result.stderr


def test_damage_is_told_repaired_and_only_the_lost_rows_are_encoded_again(folder: Folder) -> None:
    right = FeatureStore("cache").load("photos", "mean-colour")
    damage(folder)
    result = run("cache", "verify")
    assert result.exit_code == 1
    assert f"{folder.features} is damaged: rows 0 to 19 (from 'a/00.png') cannot be read" in result.stdout
    assert "imbpipe cache repair" in result.stderr
    for command in (("train", "--dataset", "photos"), (*EXPORT, "--format", "npy", "x")):
        result = run(*command)
        assert result.exit_code == 1
        assert f"Run: imbpipe cache repair --key {folder.key}" in result.stderr
    result = run("cache", "repair", "--key", folder.key)
    assert result.exit_code == 0
    assert result.stdout == (
        f"{folder.path}: 0 rows sound, 20 lost; run the extraction again\n"
        f"  set aside: {folder.features}.aside-0\n"
    )
    assert "20 images encoded" in run(*EXTRACT).stdout
    assert FeatureStore("cache").load("photos", "mean-colour").digest == right.digest
    assert run("cache", "gc").stdout == f"{folder.features}.aside-0\n"


@pytest.mark.parametrize("form", ["npy", "parquet", "h5ad", "safetensors", "projector", "faiss"])
def test_export_names_the_files_it_wrote_and_overwrites_none(folder: Folder, form: str) -> None:
    result = run(*EXPORT, "--format", form, "out/x")
    assert result.exit_code == 0
    written = {str(path) for path in Path("out").iterdir()}
    assert set(result.stdout.splitlines()) == written
    again = run(*EXPORT, "--format", form, "out/x")
    assert again.exit_code == 1
    assert "is there already. Choose another name, or --force" in again.stderr
    assert run(*EXPORT, "--format", form, "--force", "out/x").exit_code == 0


def test_gc_says_what_would_go_and_removes_only_what_is_named(folder: Folder) -> None:
    assert run(*EXTRACT, "--dtype", "float16").exit_code == 0
    (folder.path / "features.h5.tmp-1").write_bytes(bytes(2_000_000))
    dry = run("cache", "gc", "--dry-run")
    assert (dry.stdout, dry.stderr) == (f"{folder.path}/features.h5.tmp-1\n", "2.0 MB would be freed.\n")
    assert run("cache", "gc").stderr == "2.0 MB freed.\n"
    assert run("cache", "gc", "--remove").exit_code == 2
    assert run("cache", "gc", "--remove", "--key", folder.key).stdout == f"{folder.path}\n"
    assert not folder.path.exists()
    assert len(run("cache", "list").stdout.splitlines()) == 2


@pytest.mark.parametrize("command", ["info", "verify", "repair", "gc"])
def test_features_that_are_not_there_are_an_error(folder: Folder, command: str) -> None:
    remove = ("--remove",) if command == "gc" else ()
    result = run("cache", command, *remove, "--encoder", "clip")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: no such features in cache. See: imbpipe cache list\n",
    )


def test_a_folder_without_its_description_is_listed_and_told_and_does_not_hide_others(folder: Folder) -> None:
    assert run(*EXTRACT, "--dtype", "float16").exit_code == 0
    folder.spec.unlink()
    folder.features.unlink()
    listed = run("cache", "list")
    assert listed.exit_code == 0
    assert f"{folder.spec} is missing or damaged" in listed.stdout
    assert "complete" in listed.stdout
    result = run("cache", "verify", "--recompute", 1)
    assert result.exit_code == 1
    assert "20 rows verified" in result.stdout
    result = run("cache", "repair", "--key", folder.key)
    assert result.exit_code == 1
    assert result.stderr.endswith("Remove the folder and extract again\n")


ODD = [b"caf\xe9", b"new\nline", b"<script>alert(1)<", b"\x1b[31mred", b"=2+3", "na\u00efve".encode()]


def test_names_of_any_bytes_are_shown_on_one_printable_line_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` looks at every line that is printed."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    place = Path(os.fsdecode(b"my\nph\xf6tos"))
    for name in map(os.fsdecode, ODD):
        for row in range(2):
            paint(place / name / f"{row}{name}.png", 10 * row)
    (place / os.fsdecode(ODD[1]) / os.fsdecode(b"bad\n\xff.png")).write_bytes(b"")
    cache = Path(os.fsdecode(b"ca\nch\xe9"))
    at = ("--cache", cache)
    extract = ("extract", "--encoder", "mean-colour", "--dataset", place, *at)
    result = run(*extract)
    assert result.exit_code == 3
    assert r"Set aside: my\nph\udcf6tos/new\nline/bad\n\udcff.png: an empty file" in result.stderr
    assert json.loads(run(*extract, "--json").stdout)["set_aside"] == 1
    (entry,) = json.loads(run("cache", "list", "--json", *at).stdout)
    for command in ("list", "info", "verify", "repair", "gc"):
        assert run("cache", command, *at).exit_code == 0
    for command in ("info", "verify", "repair"):
        assert json.loads(run("cache", command, "--json", *at).stdout)
    for form in ("npy", "parquet", "h5ad", "safetensors", "projector", "faiss"):
        result = run(
            *("cache", "export", "--dataset", entry["dataset"], "--encoder", "mean-colour", *at),
            *("--format", form, place / "out" / "x\ny"),
        )
        assert result.exit_code == 0, form
    paint(place / os.fsdecode(ODD[0]) / f"0{os.fsdecode(ODD[0])}.png", 99)
    assert run("cache", "verify", "--images", *at).exit_code == 1
    assert run("train", "--dataset", place, *at).exit_code == 1
    assert run("cache", "gc", "--remove", "--dataset", entry["dataset"], *at).exit_code == 0


def test_every_value_of_a_real_spec_is_part_of_the_key_and_named_where_it_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbpipe.cache.spec import flat, key_of
    from imbpipe.encoders.load import load_encoder

    toy.without_syncing(monkeypatch)
    spec = extract_spec.spec_of(load_encoder("resnet18", weights="random"))
    spec["dim"] = 4
    shelf = toy.Shelf(tmp_path / "cache", toy.draw(tmp_path / "images", 3), spec)
    monkeypatch.setattr(toy, "encode", lambda data, place, spec: np.zeros(spec["dim"], np.float32))
    shelf.fill()
    keys = {key_of(spec)}
    for name in flat(spec):
        other = changed(spec, name)
        keys.add(key_of(other))
        with pytest.raises(StoreError) as caught:
            shelf.load(spec=other)
        assert f"were made with other {name} (" in str(caught.value)
        assert "Run: imbpipe extract" in caught.value.remedy
    assert len(keys) == len(flat(spec)) + 1 > 15


def changed(spec: dict, name: str) -> dict:
    """With another value in the field of that dotted name."""
    first, _, rest = name.partition(".")
    if rest:
        return {**spec, first: changed(spec[first], rest)}
    value = spec[first]
    if first == "dtype":
        return {**spec, first: "float16"}
    return {**spec, first: value + 1 if isinstance(value, int) else f"{value}?"}
