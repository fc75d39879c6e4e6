"""Heads trained together: the same as alone, the same as by hand, the same on any number of threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from heads_by_hand import train_by_hand
from hypothesis import example, given, settings
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from imbpipe.heads.bank import Bank, train_heads
from imbpipe.heads.batches import Data
from imbpipe.heads.draws import dropout_masks, epoch_rows, mask_keys
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.heads.slices import cut, group_runs
from imbpipe.heads.train import train_slice
from imbpipe.strategies.plan import Phase, Plan, Synthetic

N, D, C = 60, 7, 3
KINDS = ("mlp", "linear", "cosine")


def material(dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels in which every class occurs and can be learned."""
    rng = np.random.default_rng(5)
    features = rng.normal(size=(N, D)).astype(dtype)
    labels = features[:, :C] + 0.3 * rng.normal(size=(N, C)) > 0.5
    return features, labels


SMALL = Protocol(HeadConfig(hidden=5), epochs=3, batch_size=8, learning_rate=0.01)
LOSSES_USED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bce", {}),
    ("focal", {"gamma": 1.5, "alpha": 0.4}),
    ("focal", {"gamma": 2.0, "alpha": -1.0}),
    ("asymmetric", {"gamma_neg": 3.0}),
    ("negative-tolerant", {"scale": 3.0}),
    ("softmax", {}),
    ("ldam", {"margin": np.array([0.5, 0.3, 0.1]), "scale": 5.0}),
)


@st.composite
def phases(draw: st.DrawFn, rows: int, start: float) -> Phase:
    rng = np.random.default_rng(draw(st.integers(0, 3)))
    loss, parameters = draw(st.sampled_from(LOSSES_USED))
    drawn = draw(st.sampled_from([None, 1, 8, 21, 40]))
    weight = draw(st.sampled_from([None, (rows,), (rows, C)]))
    return Phase(
        start=start,
        rows=None if drawn is None else rng.integers(0, rows, drawn),
        probability=rng.random(rows) if draw(st.booleans()) else None,
        weight=None if weight is None else rng.integers(0, 4, weight).astype(np.float32),
        weight_per=draw(st.sampled_from(["row", "batch"])),
        loss=loss,
        parameters=parameters,
        offset=rng.normal(size=C).astype(np.float32) if draw(st.booleans()) else None,
    )


@st.composite
def random_runs(draw: st.DrawFn) -> Run:
    train = np.arange(40) if draw(st.booleans()) else np.arange(50)[::-1].copy()
    synthetic = None
    if draw(st.integers(0, 3)) == 0:
        rng = np.random.default_rng(1)
        synthetic = Synthetic(rng.normal(size=(6, D)).astype(np.float32), rng.random((6, C), np.float32))
    rows = len(train) + (6 if synthetic else 0)
    starts = draw(st.sampled_from([(0.0,), (0.0, 0.5)]))
    plan = Plan(tuple(draw(phases(rows, start)) for start in starts), synthetic)
    return Run(train, np.arange(50, 60), plan, draw(st.integers(0, 1)))


def many(least: int) -> st.SearchStrategy[list[Run]]:
    """Grids in which some runs share their batches and some do not."""
    one = random_runs()
    twins = st.builds(lambda run, factor: [run, _reweighted(run, factor)], one, st.floats(0.5, 5))
    groups = st.lists(st.one_of(one.map(lambda run: [run]), twins), min_size=least, max_size=5)
    return groups.map(lambda groups: [run for group in groups for run in group])


def _reweighted(run: Run, factor: float) -> Run:
    rows = len(run.train) + (0 if run.plan.synthetic is None else 6)
    weight = np.full(rows, factor, np.float32)
    again = tuple(replace(phase, weight=weight) for phase in run.plan.phases)
    return replace(run, plan=replace(run.plan, phases=again))


def trained(runs: list[Run], protocol: Protocol, dtype: Any = np.float64, **options: Any) -> list[dict]:
    """The parameters of each run, in the order of the runs."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for bank in train_heads(*material(dtype), runs, protocol, **options):
        for place, run in enumerate(bank.runs):
            found[run] = {name: value[place] for name, value in bank.parameters.items()}
    assert sorted(found) == list(range(len(runs)))
    return [found[number] for number in range(len(runs))]


def one(run: Run, protocol: Protocol, dtype: Any = np.float64) -> Bank:
    (bank,) = train_heads(*material(dtype), [run], protocol)
    return bank


def assert_same_head(parameters: dict[str, np.ndarray], by_hand: Any, tolerance: float) -> None:
    state = by_hand.state_dict()
    if "scale" in state:
        state["output.scale"] = state.pop("scale")[None]
    assert set(parameters) == set(state)
    for name, value in state.items():
        np.testing.assert_allclose(parameters[name], value.numpy(), rtol=0, atol=tolerance, err_msg=name)


def plain(seed: int = 0, **phase: Any) -> Run:
    return Run(np.arange(40), np.arange(50, 60), Plan((Phase(**phase),)), seed)


@given(many(2), st.sampled_from(KINDS), st.sampled_from([0.0, 0.5]))
def test_heads_trained_together_equal_heads_trained_alone(runs: list[Run], kind: Any, dropout: float) -> None:
    protocol = replace(SMALL, head=HeadConfig(kind, 5, dropout))
    for dtype in (np.float64, np.float32):
        together = trained(runs, protocol, dtype)
        for run, parameters in zip(runs, together, strict=True):
            (alone,) = trained([run], protocol, dtype)
            for name, value in alone.items():
                np.testing.assert_array_equal(parameters[name], value, err_msg=name)


@settings(max_examples=10)
@given(many(2), st.sampled_from(KINDS))
def test_slices_as_a_gpu_gets_them_hold_the_same_heads(runs: list[Run], kind: Any) -> None:
    """Many groups of several runs each in one slice; here on the CPU."""
    protocol = replace(SMALL, head=HeadConfig(kind, 5))
    features, labels = (torch.tensor(each, dtype=torch.float64) for each in material())
    one_by_one = trained(runs, protocol)
    for part in cut(group_runs(runs, protocol), 64, merge=True):
        stack = train_slice(part, runs, Data(features, labels), protocol, lambda: False)
        for name, value in stack.items():
            for place, run in enumerate(part.runs):
                expected = one_by_one[run][name].reshape(value[place].shape)
                np.testing.assert_allclose(value[place], expected, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@settings(max_examples=10)
@given(many(2), st.sampled_from(KINDS))
def test_a_gpu_trains_the_heads_that_a_cpu_trains(runs: list[Run], kind: Any) -> None:
    protocol = replace(SMALL, head=HeadConfig(kind, 5), epochs=6)
    for dtype, tolerance in ((np.float64, 1e-8), (np.float32, 1e-3)):
        on_cpu = trained(runs, protocol, dtype, device="cpu")
        on_gpu = trained(runs, protocol, dtype, device="cuda")
        for left, right in zip(on_cpu, on_gpu, strict=True):
            for name, value in left.items():
                np.testing.assert_allclose(right[name], value, rtol=0, atol=tolerance, err_msg=name)


def _alike() -> dict[str, tuple[Run, Run]]:
    """Pairs of runs that differ in one thing alone."""
    rng = np.random.default_rng(0)
    base, rows = plain(rows=np.arange(20)), np.zeros(20, np.int64)
    made = [Synthetic(rng.normal(size=(6, D)).astype("f4"), rng.random((6, C)).astype("f4")) for _ in "ab"]
    mixed = Synthetic(made[0].features, made[1].labels)
    every = Phase(rows=np.arange(46))
    with_made = [replace(base, plan=Plan((every,), each)) for each in (*made, mixed)]
    return {
        "seed": (base, replace(base, seed=1)),
        "training rows": (base, replace(base, train=np.arange(10, 50))),
        "validation rows": (base, replace(base, validation=np.arange(40, 50))),
        "drawn rows": (base, plain(rows=np.arange(20) + 1)),
        "probability": (
            plain(rows=rows, probability=rng.random(40)),
            plain(rows=rows, probability=rng.random(40)),
        ),
        "late rows": tuple(
            replace(base, plan=Plan((Phase(), Phase(0.5, rows=each)))) for each in (rows, rows[1:])
        ),
        "synthetic features": (with_made[1], with_made[2]),
        "synthetic labels": (with_made[0], with_made[2]),
    }


@pytest.mark.parametrize("thing", _alike())
def test_runs_that_differ_in_one_thing_do_not_share_it(thing: str) -> None:
    runs = list(_alike()[thing])
    protocol = replace(SMALL, epochs=12, learning_rate=0.1, patience=1)
    together = trained(runs * 2, protocol)
    alone = [trained([run], protocol)[0] for run in runs]
    assert any(not np.array_equal(alone[0][name], alone[1][name]) for name in alone[0])
    for parameters, expected in zip(together, alone * 2, strict=True):
        for name, value in expected.items():
            np.testing.assert_array_equal(parameters[name], value, err_msg=name)


@given(many(1), st.sampled_from(KINDS), st.sampled_from([0.0, 0.5]), st.sampled_from([None, 1]))
def test_heads_trained_together_equal_a_plain_torch_loop(
    runs: list[Run], kind: Any, dropout: float, step: int | None
) -> None:
    protocol = replace(SMALL, head=HeadConfig(kind, 5, dropout), learning_rate=1e-3, step=step, gamma=0.5)
    for run, parameters in zip(runs, trained(runs, protocol), strict=True):
        assert_same_head(parameters, train_by_hand(*material(), run, protocol), 1e-10)


def test_an_epoch_in_float32_stays_within_a_ten_thousandth_of_a_plain_torch_loop() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(1000, 64)).astype(np.float32)
    labels = rng.random((1000, 5)) < 0.2
    run = Run(np.arange(1000), np.arange(0), Plan(), 3)
    protocol = Protocol(HeadConfig(), epochs=1)
    by_hand = train_by_hand(features, labels, run, protocol)
    for bank in train_heads(features, labels, [run] * 5, protocol):
        for place in range(len(bank.runs)):
            parameters = {name: value[place] for name, value in bank.parameters.items()}
            assert_same_head(parameters, by_hand, 1e-4)


@settings(max_examples=10)
@given(many(3), st.sampled_from(KINDS))
def test_results_are_the_same_bit_for_bit_on_one_thread_and_on_two(runs: list[Run], kind: Any) -> None:
    protocol = replace(SMALL, head=HeadConfig(kind, 5))
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(trained(runs, protocol, np.float32))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for left, right in zip(results[0], other, strict=True):
            for name, value in left.items():
                np.testing.assert_array_equal(value, right[name], err_msg=name)


def test_training_leaves_the_number_of_threads_as_it_was() -> None:
    def in_a_new_thread() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    before = torch.get_num_threads(), in_a_new_thread()
    one(plain(), SMALL).scores(material()[0])
    assert (torch.get_num_threads(), in_a_new_thread()) == before


def test_heads_of_full_size_have_the_same_bits_together_and_alone_and_on_any_threads() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 512)).astype(np.float32)
    labels = rng.random((500, 17)) < 0.2
    weights = rng.integers(1, 5, (9, 450)).astype(np.float32)
    plans = [Plan((Phase(weight=weight),)) for weight in weights]
    runs = [Run(np.arange(450), np.arange(450, 500), plan, 0) for plan in plans]
    runs += [replace(runs[0], train=np.arange(size), plan=Plan()) for size in (90, 200, 300)]
    protocol = Protocol(epochs=1)
    threads = torch.get_num_threads()

    def scores(count: int, some: list[Run]) -> dict[int, np.ndarray]:
        torch.set_num_threads(count)
        try:
            banks = list(train_heads(features, labels, some, protocol))
            return {run: s for bank in banks for run, s in zip(bank.runs, bank.scores(features), strict=True)}
        finally:
            torch.set_num_threads(threads)

    first = scores(1, runs)
    for count in (2, 5):
        for run, value in scores(count, runs).items():
            np.testing.assert_array_equal(value, first[run])
    for number in (0, 8, 10):
        np.testing.assert_array_equal(scores(2, [runs[number]])[0], first[number])


def test_a_head_starts_as_torch_linear_layers_do_under_its_seed() -> None:
    bank = one(plain(seed=11), replace(SMALL, epochs=1, learning_rate=0.0), np.float32)
    torch.manual_seed(11)
    hidden, output = torch.nn.Linear(D, 5), torch.nn.Linear(5, C)
    np.testing.assert_array_equal(bank.parameters["hidden.weight"][0], hidden.weight.detach())
    np.testing.assert_array_equal(bank.parameters["hidden.bias"][0], hidden.bias.detach())
    np.testing.assert_array_equal(bank.parameters["output.weight"][0], output.weight.detach())
    np.testing.assert_array_equal(bank.parameters["output.bias"][0], output.bias.detach())


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_what_the_same_head_in_torch_says(kind: Any) -> None:
    features, _ = material()
    for loss in ("bce", "softmax"):
        run, protocol = plain(loss=loss), replace(SMALL, head=HeadConfig(kind, 5))
        z = train_by_hand(*material(), run, protocol)(torch.tensor(features)).detach()
        bank = one(run, protocol)
        expected = z.sigmoid() if loss == "bce" else z.softmax(1)
        np.testing.assert_allclose(bank.logits(features)[0], z, atol=1e-9)
        np.testing.assert_allclose(bank.scores(features)[0], expected, atol=1e-9)
    assert one(plain(), SMALL, np.float32).scores(features.astype(np.float32)).dtype == np.float32


def test_a_head_with_other_parameters_scores_with_them() -> None:
    features, _ = material()
    bank = one(plain(), SMALL)
    silent = {**bank.parameters, "output.weight": 0 * bank.parameters["output.weight"]}
    scores = replace(bank, parameters=silent).scores(features)
    bias = bank.parameters["output.bias"]
    np.testing.assert_allclose(scores[0], np.broadcast_to(1 / (1 + np.exp(-bias)), (N, C)), atol=1e-12)


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_early_stopping_keeps_the_epoch_that_a_plain_loop_keeps(patience: int, loss: str) -> None:
    protocol = replace(SMALL, epochs=16, learning_rate=0.1, patience=patience)
    weights = np.random.default_rng(0).integers(0, 4, (3, 40)).astype(np.float32)
    runs = [plain(seed=seed, loss=loss, weight=weight) for seed in range(2) for weight in weights]
    runs.append(replace(runs[0], plan=Plan((Phase(loss=loss), Phase(0.4, loss=loss, rows=np.arange(9))))))
    plain_loss = binary_cross_entropy_with_logits if loss == "bce" else cross_entropy
    for run, parameters in zip(runs, trained(runs, protocol), strict=True):
        by_hand = train_by_hand(*material(), run, protocol, partial(plain_loss))
        assert_same_head(parameters, by_hand, 1e-8)
    to_the_end = trained(runs, replace(protocol, patience=None))
    assert any(
        not np.array_equal(a["output.bias"], b["output.bias"])
        for a, b in zip(trained(runs, protocol), to_the_end, strict=True)
    )


@pytest.mark.parametrize(("start", "first"), [(0.1, 1), (0.3, 3), (0.55, 6), (0.7, 7), (0.8, 8)])
def test_a_phase_starts_with_the_first_epoch_at_or_after_its_share(start: float, first: int) -> None:
    """Before that epoch the run equals one without the phase; from it on it does not."""
    late = plain()
    late = replace(late, plan=Plan((Phase(), Phase(start, loss="focal"))))
    twenty = {
        epochs: trained([plain(), late], replace(SMALL, epochs=10, step=epochs, gamma=0.0))
        for epochs in (first, first + 1)
    }
    same = [np.array_equal(a["output.bias"], b["output.bias"]) for a, b in twenty.values()]
    assert same == [True, False]


def test_rows_drawn_by_probability_are_drawn_anew_each_epoch_and_as_often_as_asked() -> None:
    probability = np.array([0.0, 1.0, 3.0, 0.0, 6.0])
    phase = Phase(rows=np.zeros(20_000, np.int64), probability=probability)
    first, second = (epoch_rows(phase, 5, seed=0, epoch=epoch) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(np.bincount(first, minlength=5) / 20_000, probability / 10, atol=0.015)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=90), st.integers(0, 5))
@example([3, 3, 3], 0)
def test_an_epoch_visits_every_row_of_the_plan_as_often_as_it_stands_there(
    rows: list[int], seed: int
) -> None:
    phase = Phase(rows=np.array(rows))
    orders = [epoch_rows(phase, 31, seed, epoch) for epoch in (0, 1)]
    for order in orders:
        assert sorted(order) == sorted(rows)
    if len(set(rows)) > 10:
        assert not np.array_equal(*orders)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.8])
def test_dropout_keeps_the_share_it_says_independently_at_every_place(keep: float) -> None:
    keys = torch.tensor(mask_keys(seed=1, epoch=2, steps=500))
    mask = dropout_masks(keys, 20, 16, keep, torch.float32)
    spread = (keep * (1 - keep)) ** 0.5
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert abs(mask.mean() - keep) < 4 * spread / mask.numel() ** 0.5
    flat = mask.flatten(1)
    assert (flat.mean(0) - keep).abs().max() < 6 * spread / 500**0.5
    deviation = (flat[:, :64] - keep) / spread
    correlation = (deviation.T @ deviation / 500).fill_diagonal_(0)
    assert correlation.abs().max() < 6 / 500**0.5


def test_every_seed_epoch_and_step_has_its_own_dropout_whatever_the_number_of_steps() -> None:
    keys = [mask_keys(seed, epoch, 70) for seed in range(3) for epoch in range(3)]
    assert len(np.unique(keys)) == 3 * 3 * 70
    np.testing.assert_array_equal(mask_keys(1, 1, 7), keys[4][:7])


def test_heads_are_handed_over_as_they_finish_and_progress_counts_them() -> None:
    seen: list[tuple[int, int]] = []
    runs = [plain(seed=seed) for seed in range(5)] + [plain(rows=np.zeros(400, np.int64))]
    banks = train_heads(*material(), runs, SMALL, progress=lambda done, total: seen.append((done, total)))
    done = 0
    for bank in banks:
        done += len(bank.runs)
        assert seen[-1] == (done, 6)
    assert done == 6


INTERRUPTED = """
import signal, threading
from dataclasses import replace
import numpy as np
from test_heads import SMALL, material, plain
from imbpipe.heads.bank import train_heads

endless = plain(rows=np.zeros(1_000_000, np.int64))
banks = train_heads(*material(), [replace(endless, seed=s) for s in range(5)], replace(SMALL, epochs=100))
threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,)).start()
try:
    next(banks)
except KeyboardInterrupt:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("heads")]
    print("stopped")
"""


def test_an_interrupted_caller_stops_the_training() -> None:
    """Training would go on for hours. In a process of its own, as the signal is the process's."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def test_a_small_memory_budget_changes_nothing_but_how_the_grid_is_cut() -> None:
    runs = [plain(seed=number // 8, weight=np.full(40, 1 + number, "f4")) for number in range(16)]
    sizes = {}
    for memory in (2 << 30, 150_000):
        banks = list(train_heads(*material(), runs, SMALL, memory=memory))
        sizes[memory] = {len(bank.runs) for bank in banks}
    assert max(sizes[150_000]) < max(sizes[2 << 30])
    for large, small in zip(trained(runs, SMALL), trained(runs, SMALL, memory=150_000), strict=True):
        for name, value in large.items():
            np.testing.assert_array_equal(small[name], value, err_msg=name)


def test_read_only_features_are_trained_on_without_a_copy_or_a_warning() -> None:
    features, labels = material(np.float32)
    features.setflags(write=False)
    (bank,) = train_heads(features, labels, [plain()], SMALL)
    np.testing.assert_array_equal(bank.scores(features), one(plain(), SMALL, np.float32).scores(features))


def test_half_precision_features_are_trained_in_single_precision() -> None:
    features, labels = material(np.float16)
    (bank,) = train_heads(features, labels, [plain()], SMALL)
    (single,) = train_heads(features.astype(np.float32), labels, [plain()], SMALL)
    assert bank.parameters["output.bias"].dtype == np.float32
    np.testing.assert_array_equal(bank.scores(features), single.scores(features))


def test_without_runs_there_is_nothing_to_train() -> None:
    assert list(train_heads(*material(), [], SMALL)) == []
