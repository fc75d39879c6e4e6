"""Encoding on a Ray cluster: two nodes of their own processes, one of which is lost."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.setting import BATCH, Setting, kill_node, two_nodes, wait_until

from imbpipe.errors import ClusterError
from imbpipe.extract.ray_engine import Share, share_of

IMAGES = 400
IN_FLIGHT = 3
"""Batches that a worker with one lane has in hand: one at the encoder, two that wait."""


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path, IMAGES)
    yield made
    made.end()


def test_rows_survive_an_interruption_and_the_loss_of_a_node_and_strangers_stay_out(setting: Setting) -> None:
    local = setting.begin("--cache", "local", TOLD=f"{setting.folder}/local-told", TELLING_SECONDS="0")
    with two_nodes(setting) as (address, raylet):
        here = ("--engine", "ray", "--address", address)

        interrupted = setting.begin(*here, "--json")
        wrong = setting.begin(*here, RAY_AUTH_TOKEN="f" * 64)
        without = setting.begin(*here, RAY_AUTH_TOKEN="", HOME=str(setting.folder))
        wait_until(lambda: len(setting.told()) >= 10, interrupted)
        interrupted.send_signal(signal.SIGINT)
        out, err = interrupted.communicate(timeout=30)
        assert interrupted.returncode == 75, err
        before = json.loads(out)
        first = setting.told()
        assert before["stopped"]

        for stranger, fact in ((wrong, f"cluster at {address} refuses the token"), (without, "no token")):
            _, said = stranger.communicate(timeout=30)
            assert stranger.returncode == 1
            assert fact in said
            assert "RAY_AUTH_TOKEN" in said
            assert said.count("\n") == 1

        resumed = setting.begin(*here, "--json")
        wait_until(lambda: len(setting.told()) >= len(first) + 20, resumed)
        lost = kill_node(raylet)
        out, err = resumed.communicate(timeout=60)
        assert resumed.returncode == 0, err
        after = json.loads(out)

    _, err = local.communicate(timeout=30)
    assert local.returncode == 0, err
    assert setting.features() == setting.features("local")
    assert before["encoded"] + after["encoded"] == IMAGES
    second = setting.told()[len(first) :]
    by_the_lost = [batch for process, batch in second if process in lost]
    assert by_the_lost, "the second node took part"
    again = [batch for place, (_, batch) in enumerate(second) if batch in [b for _, b in second[:place]]]
    assert set(again) <= set(by_the_lost)
    assert len(again) <= IN_FLIGHT
    assert len(first) - before["encoded"] // BATCH <= 2 * IN_FLIGHT
    print(
        "again",
        len(again),
        "first",
        len(first),
        before["encoded"] // BATCH,
        "lost",
        len(by_the_lost),
        len(second),
    )


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


def test_a_cluster_without_a_cpu_is_told() -> None:
    with pytest.raises(ClusterError, match=r"no node with a CPU to compute on\. Add one: ray start"):
        share_of([{"memory": 1.0}])
