"""Features larger than memory: read in shuffled blocks while heads train, to the same results."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import h5py
import heads_by_hand
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from PIL import Image
from scipy.stats import ttest_1samp
from sklearn.metrics import average_precision_score
from stored_by_hand import made, write

from imbpipe.cache import memory
from imbpipe.cache.reader import open_features, read_features, read_or_open
from imbpipe.cache.stored import StoredFeatures, blocks
from imbpipe.cli import main
from imbpipe.cli.options import Size
from imbpipe.datasets.splits import make_split
from imbpipe.errors import PlanError, StoreError, TooLargeError, UsageError
from imbpipe.experiments.choose import tell_streamed
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.material import gather
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.heads import buffer, stream
from imbpipe.heads.bank import train_heads
from imbpipe.heads.draws import epoch_rows
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Phase, Plan, Synthetic
from imbpipe.strategies.strategy import STRATEGIES

N, D = 6000, 8
"""188 blocks."""
QUICK = Protocol(HeadConfig(hidden=8), epochs=3, learning_rate=0.01)
TEN = Protocol(HeadConfig(hidden=8), epochs=10, batch_size=256)
PLENTY = 1 << 30


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("features") / "features.h5", *made(N, D))


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "LEAST", 1024)
    torch.set_num_threads(2)


def memory_for(rows: int, dimension: int = D) -> int:
    """What lets two threads hold parts of so many rows."""
    return int(2 * 2 * rows * 4 * dimension / (1 - buffer.KEPT) / buffer.SHARE) + 100


def reader_of(features: StoredFeatures, run: Run) -> stream.Stream:
    labels = made(N, D)[1].labels[run.train]
    return stream.Stream(buffer.buffered(features, 2, 64), run, labels, torch.zeros(0, D))


def stored(file: Path, memory: int = PLENTY) -> StoredFeatures:
    found = open_features(file, memory).features
    assert isinstance(found, StoredFeatures)
    return found


def plans(n: int) -> dict[str, Plan]:
    rng = np.random.default_rng(1)
    new = Synthetic(rng.normal(size=(50, D)).astype(np.float32), np.ones((50, 3), np.float32))
    return {
        "every row once": Plan(),
        "weights a row and class": Plan((Phase(weight=rng.random((n, 3)).astype(np.float32)),)),
        "rows with repeats": Plan((Phase(rows=rng.integers(0, n, 2 * n + 7)),)),
        "few rows": Plan((Phase(rows=rng.integers(0, 100, 300)),)),
        "phases": Plan((Phase(), Phase(0.5, probability=rng.random(n)))),
        "made rows": Plan((Phase(rows=np.concatenate([np.arange(n), n + np.arange(50).repeat(3)])),), new),
    }


def runs(n: int = N, seeds: int = 2) -> list[Run]:
    rows = np.random.default_rng(0).permutation(n)
    train, rest = np.sort(rows[: n * 3 // 5]), np.sort(rows[n * 3 // 5 :])
    return [Run(train, rest, plan, seed) for seed in range(seeds) for plan in plans(len(train)).values()]


def trained(features: Any, labels: np.ndarray, todo: list[Run], protocol: Protocol) -> list[dict[str, Any]]:
    """Parameters and scores of each run."""
    found: dict[int, dict[str, Any]] = {}
    for bank in train_heads(features, labels, todo, protocol):
        scores = bank.scores(features)
        for place, run in enumerate(bank.runs):
            found[run] = {name: value[place] for name, value in bank.parameters.items()}
            found[run]["scores"] = scores[place]
    return [found[run] for run in range(len(todo))]


@pytest.mark.parametrize("patience", [None, 1])
def test_with_a_buffer_as_large_as_the_file_streamed_heads_are_the_resident_ones_bit_for_bit(
    file: Path, patience: int | None
) -> None:
    features, dataset = made(N, D)
    protocol = replace(QUICK, patience=patience)
    resident = trained(features, dataset.labels, runs(), protocol)
    for one, other in zip(trained(stored(file), dataset.labels, runs(), protocol), resident, strict=True):
        for name, value in other.items():
            np.testing.assert_array_equal(one[name], value, err_msg=name)


@pytest.mark.parametrize("name", plans(10))
def test_with_a_small_buffer_a_head_is_the_one_trained_by_hand_in_the_order_of_the_stream(
    file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, dataset = made(N, D)
    some = stored(file, memory_for(1024))
    run = runs(seeds=1)[list(plans(10)).index(name)]
    reader = reader_of(some, run)
    parts = []

    def in_parts(phase: Phase, n: int, seed: int, epoch: int) -> np.ndarray:
        arranged = reader.arrange(epoch_rows(phase, n, seed, epoch), epoch)
        parts.append(len(arranged.ends))
        return arranged.order

    monkeypatch.setattr(heads_by_hand, "epoch_rows", in_parts)
    by_hand = heads_by_hand.train_by_hand(features, dataset.labels, run, QUICK)
    reader.close()
    assert min(parts) == 1 if name == "few rows" else min(parts) > 1
    [found] = trained(some, dataset.labels, [run], QUICK)
    weight = by_hand.output.weight.detach().numpy()
    np.testing.assert_allclose(found["output.weight"], weight, rtol=1e-3, atol=1e-4)


@given(st.data())
@settings(max_examples=15)
def test_an_epoch_draws_each_row_exactly_as_often_as_the_plan_says(file: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(plans(10))))
    seed, epoch = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    run = replace(runs(seeds=1)[list(plans(10)).index(name)], seed=seed)
    rows = data.draw(st.sampled_from([1024, 1200, 4000]))
    reader = reader_of(stored(file, memory_for(rows)), run)
    n = len(run.train)
    drawn = epoch_rows(run.plan.phases[-1], n, seed, epoch)
    arranged = reader.arrange(drawn, epoch)
    np.testing.assert_array_equal(np.sort(arranged.order), np.sort(drawn))
    parts = np.split(arranged.order, arranged.ends[:-1])
    if len(parts) == 1:
        np.testing.assert_array_equal(arranged.order, drawn)
    rare = made(N, D)[1].labels[run.train, 2]
    common = [np.unique(part[(part < n) & ~rare[part % n]]) for part in parts]
    blocks_of = [set((run.train[part] // 32).tolist()) for part in common]
    assert not any(one & other for place, one in enumerate(blocks_of) for other in blocks_of[:place])
    assert len(parts) == 1 or max(map(len, common)) <= rows / (1 - buffer.KEPT)
    reader.close()


def test_blocks_come_together_anew_in_every_epoch_and_for_every_seed(file: Path) -> None:
    def first_part(seed: int, epoch: int) -> tuple[int, ...]:
        run = replace(runs(seeds=1)[0], seed=seed)
        reader = reader_of(stored(file, memory_for(1024)), run)
        arranged = reader.arrange(epoch_rows(run.plan.phases[0], len(run.train), seed, epoch), epoch)
        reader.close()
        blocks, rows = np.unique(run.train[arranged.order[: arranged.ends[0]]] // 32, return_counts=True)
        return tuple(blocks[rows > 10])

    together = {first_part(seed, epoch) for seed in range(4) for epoch in range(4)}
    assert len(together) == 16
    assert first_part(1, 2) == first_part(1, 2)


def grid_on(
    features: Any, settings: tuple[Setting, ...], *, task: Any = "multi-label", seeds: int = 1
) -> Grid:
    """A grid on what a file holds."""
    material = gather(made(len(features.ids), D, task=task)[1], features)
    return Grid(
        material, make_split(material.dataset, 0, kind="random"), settings, tuple(range(seeds)), QUICK
    )


NEEDS_MEMORY = {
    "cluster-centroids", "facility-location", "el2n", "margin", "herding", "k-center", "moderate", "semdedup",
    "distill", "noise", "mixup", "balanced-mixup", "mlsmote", "smote",
}  # fmt: skip


@pytest.mark.parametrize("task", ["multi-label", "single-label"])
def test_every_strategy_gives_the_resident_results_or_is_refused_by_name_before_training(
    task: Any, tmp_path: Path
) -> None:
    features, dataset = made(1000, D, task=task)
    file = write(tmp_path / "features.h5", features, dataset)
    text = np.eye(3, D, dtype=np.float32)
    resident = replace(read_features(file), text=text)
    streamed = replace(open_features(file, PLENTY), text=text)
    refused = ResultStore(tmp_path / "refused")
    kept = []
    for name in sorted(STRATEGIES):
        whole = grid_on(resident, (Setting.of(name),), task=task)
        try:
            whole.run(*whole.cells[0])
        except (PlanError, UsageError):
            continue  # for the other kind of labels
        if name in NEEDS_MEMORY:
            said = f"strategy '{name}' needs all features in memory to plan: .* Give it --memory 1MB"
            with pytest.raises(TooLargeError, match=said):
                grid_on(streamed, (BASELINE, Setting.of(name)), task=task).train(refused)
        else:
            kept.append(Setting.of(name))
    assert len(kept) > 25
    grids = [replace(grid_on(each, tuple(kept), task=task), protocol=TEN) for each in (resident, streamed)]
    tables = []
    for number, grid in enumerate(grids):
        store = ResultStore(tmp_path / str(number))
        grid.train(store)
        tables.append(grid.results(store).set_index(["strategy", "class_name"])["ap"].sort_index())
    crt = tables[0].index.get_level_values(0) == "crt"
    np.testing.assert_array_equal(tables[1][~crt], tables[0][~crt])
    np.testing.assert_allclose(tables[1][crt], tables[0][crt], atol=1e-3)  # hidden units a block at a time
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("sorted_by_class", [False, True])
def test_streamed_and_resident_training_are_equally_good_up_to_the_noise_of_seeds(
    sorted_by_class: bool, tmp_path: Path
) -> None:
    """Two one-sided tests at 5 %: the mean paired difference in AP is within a seed's standard deviation.

    Sorted by class is the worst order that there is for reading in blocks.
    """
    n, seeds = 12_000, 8
    features, dataset = made(n, D)
    if sorted_by_class:
        order = np.lexsort(dataset.labels.T)
        features, dataset = features[order], replace(dataset, labels=dataset.labels[order])
    file = write(tmp_path / "features.h5", features, dataset)
    todo = [replace(run, plan=Plan()) for run in runs(n)[: 1 * seeds]]
    todo = [replace(run, seed=seed) for seed, run in enumerate(todo)]
    test = todo[0].validation
    ap = [
        np.array(
            [
                average_precision_score(dataset.labels[test], found["scores"][test], average=None)
                for found in trained(each, dataset.labels, todo, replace(QUICK, learning_rate=1e-3, epochs=5))
            ]
        )
        for each in (features, stored(file, memory_for(2048)))
    ]
    difference = ap[1] - ap[0]
    margin = ap[0].std(axis=0, ddof=1)
    for side in (1, -1):
        assert (ttest_1samp(side * difference, -margin, alternative="greater").pvalue < 0.05).all()


def test_a_block_that_changes_under_way_stops_training_with_the_rows_and_the_remedy(
    file: Path, tmp_path: Path
) -> None:
    features, dataset = made(N, D)
    copy = tmp_path / "features.h5"
    copy.write_bytes(file.read_bytes())
    some = stored(copy, memory_for(1024))
    with copy.open("r+b") as bytes_of:
        bytes_of.seek(copy.read_bytes().index(features[1000].tobytes()))
        bytes_of.write(b"\x01")
    with pytest.raises(StoreError, match=r"rows 992 to 1023 changed since .* Run: imbpipe cache repair"):
        trained(some, dataset.labels, runs(), QUICK)


def test_a_file_that_is_damaged_already_is_refused_with_the_row_when_it_is_opened(
    file: Path, tmp_path: Path
) -> None:
    features, _ = made(N, D)
    copy = tmp_path / "features.h5"
    copy.write_bytes(file.read_bytes().replace(features[1000].tobytes(), features[1001].tobytes()))
    with pytest.raises(StoreError, match=r"rows 768 to 1023 \(from 'image000768'\) cannot be read"):
        open_features(copy, PLENTY)


def test_a_foreign_layout_is_refused_when_it_is_opened(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "features.h5"
    copy.write_bytes(file.read_bytes())
    with h5py.File(copy, "r+") as other:
        found = other["features"][...]
        del other["features"]
        other.create_dataset("features", data=found, chunks=(100, D), fletcher32=True)
    with pytest.raises(StoreError, match="rows from 0 on are stored otherwise than here"):
        open_features(copy, PLENTY)


def test_a_feature_that_is_not_finite_is_named_when_the_file_is_opened(tmp_path: Path) -> None:
    features, dataset = made(5000, 4)
    features[4500, 2] = np.inf
    file = write(tmp_path / "features.h5", features, dataset)
    with pytest.raises(StoreError, match=r"'image004500' \(row 4500\) are not finite: inf in dimension 2"):
        open_features(file, PLENTY)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_come_back_in_any_order_and_every_pass_gives_each_once(tmp_path: Path, dtype: str) -> None:
    features, dataset = made(1000, 5)
    file = write(tmp_path / "features.h5", features, dataset, dtype=dtype)
    whole = read_features(file).features[:]
    some = np.random.default_rng(0).permutation(1000)[:600]
    found = stored(file).subset(some)
    again = np.array([3, 3, 599, 0, 250])
    np.testing.assert_array_equal(found[again], whole[some[again]])
    np.testing.assert_array_equal(found[10:20], whole[some[10:20]])
    assert found.shape == (600, 5)
    passed = np.full((600, 5), np.nan, np.float32)
    for rows, block in blocks(found, 256):
        assert np.isnan(passed[rows]).all()
        passed[rows] = block
    np.testing.assert_array_equal(passed, whole[some])


def test_an_interrupted_streamed_grid_goes_on_where_it_stopped(file: Path, tmp_path: Path) -> None:
    features = open_features(file, memory_for(1024))
    settings = (BASELINE, Setting.of("oversample"), Setting.of("upweight", factor=5))
    whole, broken = ResultStore(tmp_path / "whole"), ResultStore(tmp_path / "broken")
    grid = grid_on(features, settings, seeds=2)
    assert grid.train(whole) == 6

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grid.train(broken, progress=interrupt)
    left = len(grid.missing(broken))
    assert 0 < left < 6
    assert grid.train(broken) == left
    assert grid.results(broken).equals(grid.results(whole))
    assert grid.results(whole)["streamed"].all()


def test_features_are_streamed_where_they_do_not_fit_and_it_is_said_in_one_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    size = 4 * N * D
    small, large = read_or_open(file, size - 1), read_or_open(file, size)
    assert isinstance(small.features, StoredFeatures)
    assert isinstance(large.features, np.ndarray)
    for each in (small, large):
        tell_streamed(each, said.append)
    [line] = said
    assert "made by eye: 0.2 MB of features, and 0.2 MB of memory" in line
    assert "\n" not in line


def test_half_of_what_a_container_or_job_leaves_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    unlimited = memory.room_for_features()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("70000\n")
    assert memory.room_for_features() > unlimited / 2
    (tmp_path / "memory.max").write_text("100000\n")
    assert memory.room_for_features() == 15_000


def test_a_bound_that_is_too_small_even_for_blocks_is_refused_with_one_that_is_not(file: Path) -> None:
    _, dataset = made(N, D)
    with pytest.raises(UsageError, match=r"0\.0 MB of memory .* Give it --memory 1MB or more"):
        trained(stored(file, 4000), dataset.labels, runs(), QUICK)


MEASURED = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from stored_by_hand import made
from imbpipe.cache.reader import read_or_open
from imbpipe.heads.bank import train_heads
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Plan

def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])

torch.set_num_threads(2)
labels = np.load(sys.argv[2])
def train(features, labels=labels):
    n = len(labels)
    runs = [Run(np.arange(n), np.arange(0), Plan(), seed) for seed in (0, 1)]
    for bank in train_heads(features, labels, runs, Protocol(HeadConfig("linear"), epochs=1, batch_size=512)):
        bank.scores(features)
train(np.zeros((2048, 512), np.float32), labels[:2048])
before = peak()
train(read_or_open(Path(sys.argv[1]), int(sys.argv[3])).features)
print(peak() - before)
"""


def peak_of_training(file: Path, labels: Path, memory: int) -> int:
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(file), str(labels), str(memory)],
        stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_streamed_training_takes_no_more_memory_than_it_may(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    _, dataset = made(50_000, 2)
    features = rng.standard_normal((50_000, 512), np.float32)
    file = write(tmp_path / "features.h5", features, dataset, dtype="float16")
    labels = tmp_path / "labels.npy"
    np.save(labels, dataset.labels)
    bound, size = 64_000_000, features.nbytes
    assert peak_of_training(file, labels, bound) < bound
    assert peak_of_training(file, labels, size) > size


def test_the_command_trains_on_a_stream_and_says_so_with_the_numbers_of_resident_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(buffer, "LEAST", 1)
    monkeypatch.setattr(buffer, "BATCHES", 0)
    monkeypatch.setattr(buffer, "SHARE", 1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for place in range(36):
        folder = tmp_path / "images" / ("red" if place % 3 else "blue")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{place}.png")

    def command(*arguments: str) -> Any:
        done = CliRunner().invoke(main, [*arguments, "--dataset", "images"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done

    command("extract", "--encoder", "mean-colour", "--cache", "streamed")
    shutil.copytree("streamed", "resident")
    train = ["train", "--epochs", "2", "--seeds", "2", "--json"]
    resident = command(*train, "--cache", "resident", "--memory", "1MB")
    size = read_features(next((tmp_path / "resident").rglob("features.h5"))).features[:].nbytes
    streamed = command(*train, "--cache", "streamed", "--memory", str(size - 4))
    assert streamed.stdout == resident.stdout
    assert "they are read from their file while heads train" in streamed.stderr
    assert "read from their file" not in resident.stderr


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("512 MiB", 2**29), ("1.5k", 1500), ("64", 64), ("3tib", 3 * 2**40)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "2 GBs"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no size: give 2GB, 512MiB or a number of bytes"):
        Size().convert(text, None, None)
