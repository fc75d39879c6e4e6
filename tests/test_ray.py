"""Encoding on a Ray cluster: two nodes of their own processes, one of which is lost."""

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cluster.setting import BATCH, Setting, kill_node, two_nodes, wait_until

from imbpipe.errors import ClusterError
from imbpipe.extract.ray_engine import Share, ray_engine, share_of

IMAGES = 400
IN_FLIGHT = 3
"""Batches that a worker with one lane has in hand: one at the encoder, two that wait."""


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path, IMAGES)
    yield made
    made.end()


def test_rows_survive_an_interruption_and_the_loss_of_a_node_and_strangers_stay_out(setting: Setting) -> None:
    setting.encode_here("local")
    with two_nodes(setting) as (address, raylet):
        here = ("--engine", "ray", "--address", address, "--json")

        interrupted = setting.begin(*here)
        refuse_strangers(setting, address)
        wait_until(lambda: len(setting.told()) >= 10, interrupted)
        interrupted.send_signal(signal.SIGINT)
        out, err = interrupted.communicate(timeout=60)
        assert interrupted.returncode == 75, err
        before = json.loads(out)
        first = setting.told()

        setting.hold.touch()
        resumed = setting.begin(*here)
        wait_until(lambda: len({process for process, _ in setting.told()[len(first) :]}) == 2, resumed)
        setting.hold.unlink()
        wait_until(lambda: len(setting.told()) >= len(first) + 12, resumed)
        lost = kill_node(raylet)
        out, err = resumed.communicate(timeout=60)
        assert resumed.returncode == 0, err
        after = json.loads(out)

    assert setting.features() == setting.features("local")
    assert (before["stopped"], after["stopped"]) == (True, False)
    assert before["encoded"] + after["encoded"] == IMAGES
    assert before["encoded"] // BATCH >= len(first) - 2 * IN_FLIGHT
    second = setting.told()[len(first) :]
    batches = [batch for _, batch in second]
    again = {batch for place, batch in enumerate(batches) if batch in batches[:place]}
    assert again <= {batch for process, batch in second if process in lost}
    assert len(again) <= IN_FLIGHT
    assert len(batches) - len(again) == after["encoded"] // BATCH


def refuse_strangers(setting: Setting, address: str) -> None:
    for name, token, fact in (
        ("wrong", "f" * 64, f"at {address} refuses the token"),
        ("none", "", "no token"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            for variable in filter(lambda name: name.startswith("RAY_"), setting.env):
                patch.setenv(variable, setting.env[variable])
            patch.setenv("RAY_AUTH_TOKEN", token)
            patch.setenv("HOME", str(setting.folder))
            with pytest.raises(ClusterError, match=f"{fact}.*RAY_AUTH_TOKEN"), ray_engine(address):
                raise AssertionError(name)


@pytest.mark.parametrize(
    ("nodes", "share"),
    [
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 64.0}], Share(1, 4, 6)),
        ([{"CPU": 2.0, "GPU": 4.0}], Share(1, 1, 2)),
        ([{"CPU": 8.0}, {"CPU": 2.0}, {"memory": 5.0}], Share(0, 2, 5)),
    ],
)
def test_a_task_takes_a_gpu_with_its_cores_or_the_smallest_node(nodes: list, share: Share) -> None:
    assert share_of(nodes) == share


def test_a_piece_that_ends_its_process_each_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imbpipe.extract.ray_engine.MOST_LOSSES", 1)
    with (
        ray_engine(None) as engine,
        pytest.raises(ClusterError, match=r"lost 2 times.*without --engine.*what was encoded is kept"),
    ):
        list(engine.run([partial(os._exit, 1)]))


def test_a_cluster_without_a_cpu_is_told() -> None:
    with pytest.raises(ClusterError, match=r"no node with a CPU to compute on\. Add one: ray start"):
        share_of([{"memory": 1.0}])
