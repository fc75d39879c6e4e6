"""Encoding on a Ray cluster: two nodes of their own processes, one of which is lost."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from cluster.setting import Setting, kill_node, two_nodes, wait_until

IMAGES = 400
NOBODY = "0-0"


def test_rows_survive_an_interruption_and_the_loss_of_a_node_and_strangers_stay_out(tmp_path: Path) -> None:
    setting = Setting(tmp_path, IMAGES)
    with two_nodes(setting) as (address, raylet):
        here = ("--engine", "ray", "--address", address)
        command = (*here, "--json")

        interrupted = setting.begin(*command)
        strangers = {
            "wrong": setting.begin(*here, RAY_AUTH_TOKEN="f" * 64),
            "none": setting.begin(*here, RAY_AUTH_TOKEN="", HOME=str(tmp_path)),
        }
        wait_until(lambda: len(setting.told()) >= 10, interrupted)
        interrupted.send_signal(signal.SIGINT)
        out, err = interrupted.communicate(timeout=30)
        assert interrupted.returncode == 75, err
        first = setting.told()

        resumed = setting.begin(*command)
        wait_until(lambda: len(setting.told()) >= len(first) + 20, resumed)
        lost = kill_node(raylet)
        out, err = resumed.communicate(timeout=60)
        assert resumed.returncode == 0, err
        for kind, fact in (("wrong", f"cluster at {address} refuses the token"), ("none", "no token for")):
            _, said = strangers[kind].communicate(timeout=30)
            assert strangers[kind].returncode == 1
            assert fact in said
            assert "RAY_AUTH_TOKEN" in said
            assert said.count("\n") == 1
    print(len(first), len(setting.told()), lost)
