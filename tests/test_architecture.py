"""The shape of the program: data flows one way, and heavy libraries wait until they are needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import imbpipe

PACKAGE = Path(imbpipe.__file__).parent
STAGES = [
    "datasets",
    "encoders",
    "extract",
    "cache",
    "strategies",
    "heads",
    "evaluation",
    "experiments",
    "figures",
    "report",
    "tracking",
]
SHARED = {"errors", "registry", "types"}
FRONT_DOORS = {"cli", "api", "sklearn", "__init__", "__main__"}
"""Know all stages; no stage knows them."""
OWNERS = {"click": "cli", "h5py": "cache", "matplotlib": "figures", "ray": "extract", "submitit": "extract"}
HEAVY = {
    "altair",
    "jinja2",
    "torch",
    "torchvision",
    "open_clip",
    "timm",
    "pandas",
    "matplotlib",
    "h5py",
    "scipy",
    "sklearn",
    "ray",
    "submitit",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def stage_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_stage_imports_only_what_stands_to_its_left(path):
    stage = stage_of(path)
    if stage in FRONT_DOORS:
        return
    allowed = SHARED | ({stage} if stage in SHARED else set(STAGES[: STAGES.index(stage) + 1]))
    for name in imports_of(path):
        if name.startswith("imbpipe."):
            assert name.split(".")[1] in allowed, f"{stage} imports {name}"


@pytest.mark.parametrize(("library", "owner"), OWNERS.items())
def test_a_library_with_an_owner_is_imported_by_it_alone(library, owner):
    importers = {
        stage_of(path) for path in MODULES if any(n.split(".")[0] == library for n in imports_of(path))
    }
    assert importers == {owner}


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["train", "--help"],
        ["train", "--strategy", "undersampel"],
        ["extract", "--no-such-option"],
    ],
    ids=" ".join,
)
def test_help_and_wrong_options_answer_without_loading_a_heavy_library(command):
    script = (
        "import sys, imbpipe.cli\n"
        "try: imbpipe.cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"loaded = {HEAVY} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_nothing_heavy_and_its_names_are_there():
    script = (
        "import sys, imbpipe\n"
        f"assert not ({HEAVY} | {{'numpy'}}) & set(sys.modules)\n"
        "assert {'compare', 'encode'} <= set(dir(imbpipe))\n"
        "assert all(hasattr(imbpipe, name) for name in imbpipe.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_listed_help_of_a_command_is_its_own_first_line():
    import click

    from imbpipe.cli import COMMANDS, main

    for name, line in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert (command.help or "").partition("\n")[0] == line
