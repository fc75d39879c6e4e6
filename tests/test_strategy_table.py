"""What the documentation, the lists and the command line say of strategies."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from imbpipe.cli import main
from imbpipe.cli.extract import extract
from imbpipe.cli.lists import strategies
from imbpipe.cli.train import train
from imbpipe.strategies.strategy import STRATEGIES, parameters_of
from imbpipe.strategies.table import markdown_table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/strategies.md"


def test_the_documented_table_is_the_one_that_the_program_prints():
    (written,) = re.findall(r"<!-- strategies -->\n(.*)\n<!-- /strategies -->", PAGE.read_text(), re.DOTALL)
    printed = CliRunner().invoke(main, ["strategies", "--markdown"]).stdout.strip()
    assert written == printed == markdown_table(), "Put what `imbpipe strategies --markdown` prints into it"


def test_every_row_of_the_table_has_every_column():
    for line in markdown_table().splitlines():
        assert len(re.findall(r"(?<!\\)\|", line)) == 6


def test_the_readme_leads_to_the_table():
    assert "(docs/strategies.md)" in (ROOT / "README.md").read_text()


def test_the_page_names_only_strategies_and_options_that_exist():
    text = PAGE.read_text()
    commands = (train, strategies, extract)
    options = {option for each in commands for p in each.get_params(click.Context(each)) for option in p.opts}
    assert set(re.findall(r"(?<![-\w<!])--[a-z][a-z-]+", text)) <= options
    assert all(name in STRATEGIES for name in re.findall(r"--strategy ([\w-]+)", text))


def test_no_parameter_of_a_strategy_takes_the_name_of_another_option():
    options = Counter(option for p in train.get_params(click.Context(train)) for option in p.opts)
    assert [option for option, count in options.items() if count > 1] == []


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_the_list_gives_every_parameter_with_its_default(name):
    shown = CliRunner().invoke(main, ["strategies"]).stdout
    for parameter in parameters_of(name).values():
        value = "" if parameter.default is None else f" = {parameter.default}"
        assert f"    {parameter.name}{value}: " in shown


def test_help_tells_apart_what_a_parameter_means_to_different_strategies():
    help_ = " ".join(CliRunner().invoke(main, ["train", "--help"]).stdout.split())
    of_threshold = help_.partition("--threshold VALUE ")[2].partition(" --")[0]
    keeps, reaches = of_threshold.split("images a class keeps; by default as many as the rarest class has. ")
    assert "undersample" in keeps
    assert "oversample" in reaches.partition(": draws a class reaches; by default as many as")[0]


def test_the_order_of_strategies_does_not_depend_on_what_was_imported_first():
    script = (
        "import imbpipe.strategies.weighting, imbpipe.strategies.synthesis\n"
        "from imbpipe.strategies.strategy import STRATEGIES\n"
        "print(*STRATEGIES)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.split() == list(STRATEGIES)
