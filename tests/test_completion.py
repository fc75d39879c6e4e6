"""A shell is offered names where names are meant, and files where paths are."""

import os
import subprocess
import sys

import numpy as np
import pytest
from click.shell_completion import ShellComplete

from imbpipe.cli import main

HEAVY = {"torch", "torchvision", "open_clip", "timm", "pandas", "scipy", "sklearn", "h5py", "matplotlib"}


def offered(*words):
    *before, last = words
    items = ShellComplete(main, {}, "imbpipe", "_IMBPIPE_COMPLETE").get_completions(before, last)
    return [item.value for item in items], {item.type for item in items}


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("train", "--strategy", "over"), ["oversample"]),
        (("train", "--strategy", "baseline", "--strategy", "tau"), ["tau-norm"]),
        (("train", "--metric", "pr"), ["precision", "predicted_negative_rate"]),
        (("extract", "--encoder", "res"), ["resnet18"]),
        (("quickstart", "--encoder", "cl"), ["clip"]),
        (("compare", "--metric", "auroc"), ["auroc"]),
        (("figures", "--figure", "redun"), ["redundancy", "redundancy-single-label"]),
        (("labels", "--dataset", "plan"), ["planet"]),
    ],
)
def test_names_are_completed(words, some):
    assert offered(*words) == (some, {"plain"})


def test_a_strategy_comes_with_what_it_does():
    items = ShellComplete(main, {}, "imbpipe", "_").get_completions(["train", "--strategy"], "oversample")
    assert items[0].help.endswith(".")


@pytest.mark.parametrize("words", [("quickstart",), ("train", "--dataset"), ("labels", "--dataset")])
def test_where_a_path_is_meant_the_shell_is_told_to_look_for_files(words):
    assert offered(*words, "photos/") == (["photos/"], {"file"})


def test_the_cache_s_own_data_sets_are_offered_to_its_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("cache/photos/mean-colour-1", "elsewhere/birds/clip-2"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "SPEC.json").write_text("{}")
    assert offered("cache", "info", "--dataset", "") == (["photos"], {"plain"})
    assert offered("cache", "info", "--cache", "elsewhere", "--dataset", "") == (["birds"], {"plain"})


def test_runs_of_a_file_of_scores_are_offered(tmp_path):
    labels, scores = np.eye(4, 2, dtype=int), np.full((4, 2), 0.5)
    path = tmp_path / "scores.npz"
    np.savez(path, labels=labels, class_names=["a", "b"], scores_one=scores, scores_two=scores)
    assert offered("evaluate", str(path), "--run", "") == (["one", "two"], {"plain"})
    assert offered("evaluate", str(tmp_path / "none.npz"), "--run", "") == ([], set())


def test_completion_loads_no_heavy_library():
    script = (
        "import sys\nfrom click.shell_completion import ShellComplete\nfrom imbpipe.cli import main\n"
        "for words in (['train', '--strategy'], ['train', '--metric'], ['extract', '--encoder']):\n"
        "    assert ShellComplete(main, {}, 'imbpipe', '_').get_completions(words, '')\n"
        f"assert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_bash_itself_completes_a_strategy(tmp_path):
    program = tmp_path / "imbpipe"
    program.write_text(f"#!{sys.executable}\nfrom imbpipe.cli import main\nmain(prog_name='imbpipe')\n")
    program.chmod(0o755)
    script = (
        'eval "$(_IMBPIPE_COMPLETE=bash_source imbpipe)"\n'
        "COMP_WORDS=(imbpipe train --strategy oversa) COMP_CWORD=3\n"
        '_imbpipe_completion imbpipe oversa --strategy\necho "${COMPREPLY[@]}"'
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["oversample"]
