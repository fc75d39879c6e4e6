"""Options that several commands share, and the parameters that strategies bring."""

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


class Size(click.ParamType):
    """A number of bytes, with or without a unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Fails with a usage error for anything else."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B?", value.strip(), re.IGNORECASE)
        if not found:
            self.fail(f"{value!r} is no size: give 2GB, 512MiB or a number of bytes.", param, ctx)
        number, letter, binary = found.groups()
        return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(letter.upper() or " "))


dataset = click.option(
    "--dataset", default="sample", show_default=True, metavar="NAME|PATH",
    help="A name (see `imbpipe datasets`), a folder with one subfolder a class, a CSV or Parquet table, or "
    "hf:NAME of Hugging Face.",
)  # fmt: skip
root = click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR",
    help="Where named data sets lie; default $IMBPIPE_DATA, else ./data.",
)  # fmt: skip
cache = click.option(
    "--cache", type=click.Path(path_type=Path), default=Path("cache"), show_default=True, metavar="DIR",
    help="Where features and finished runs are kept.",
)  # fmt: skip
device = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda",
    help="Where to compute; auto takes a GPU when there is one.",
)  # fmt: skip
cached = click.option(
    "--cached", is_flag=True, help="Encode nothing: take features that are there; images need not be."
)
memory = click.option(
    "--memory", type=Size(), metavar="SIZE",
    help="What features may take in memory, as 2GB or 512MiB; larger ones stay in their file and are read in "
    "shuffled blocks while heads train. Default: half of what is available.",
)  # fmt: skip
dry_run = click.option(
    "--dry-run", is_flag=True, help="Only say what would be encoded and trained, and how long it should take."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
track = click.option(
    "--track", metavar="NAME",
    help="Also log runs and differences, earlier ones too: mlflow (to $MLFLOW_TRACKING_URI) or tensorboard.",
)  # fmt: skip
split = click.option(
    "--split", type=click.Choice(["stratified", "random", "official"]),
    default="stratified", show_default=True,
    help="60-20-20 stratified over labels, plainly random, or the division that the data set's owners made.",
)  # fmt: skip
metric = click.option(
    "--metric", default="ap", show_default=True, metavar="NAME", help="What to show (see `imbpipe metrics`)."
)


class NumberOrAuto(click.ParamType):
    """A whole number from 1 up, or "auto"."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Fails with a usage error for anything else."""
        return value if value == "auto" else click.IntRange(1).convert(value, param, ctx)


def compute(command: Command) -> Command:
    """How an encoder computes; gives the command a `Compute` as `compute`."""
    from imbpipe.encoders.compute import BACKENDS, PRECISIONS, PREPROCESSES, Compute

    @click.option(
        "--backend", type=click.Choice(["auto", *BACKENDS]), default="auto", show_default=True,
        help="What computes the network; auto: openvino on a CPU where it is installed, else torch; "
        "compiled: torch, with kernels made for this network first (a minute, and a C++ compiler).",
    )  # fmt: skip
    @click.option(
        "--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True,
        help="Of the products inside the network. Lower ones are faster on a GPU and on recent CPUs and give "
        "other features: by bfloat16 their cosine to float32's is about 0.999.",
    )  # fmt: skip
    @click.option(
        "--preprocess", type=click.Choice(PREPROCESSES), default="fast", show_default=True,
        help="exact: by the encoder's own library, pixel by pixel; fast: the same steps on bytes.",
    )  # fmt: skip
    @wraps(command)
    def with_compute(backend: Any, precision: Any, preprocess: Any, **given: Any) -> Any:
        chosen = Compute(None if backend == "auto" else backend, precision, preprocess)
        return command(compute=chosen, **given)

    return with_compute


class Share(click.ParamType):
    """A number from 0 to 1, also written in per cent."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            self.fail(f"{text!r} is no share of 0 to 1: give 0.01 or 1%.", param, ctx)
        return number


max_bad = click.option(
    "--max-bad", type=Share(), metavar="SHARE",
    help="Stop when more than this share of the images (1% or 0.01) cannot be read; default: set them aside, "
    "go on.",
)  # fmt: skip


def label_reading(command: Command) -> Command:
    """How to read label files; gives the command a `ReadOptions` as `reading`."""

    @click.option("--image-column", metavar="NAME", help="Column of a table that names the images.")
    @click.option("--label-column", metavar="NAME", help="Column of a table that holds the labels.")
    @click.option(
        "--group-column", metavar="NAME",
        help="Column of a table that tells which images belong together (a place, a patient, a burst): they "
        "stay on one side of a split, and count as one in intervals.",
    )  # fmt: skip
    @click.option(
        "--label-separator", metavar="TEXT",
        help="Between the labels of a cell; empty text never splits; default: detected.",
    )  # fmt: skip
    @click.option(
        "--empty-tags", type=click.Choice(["error", "negative"]), default="error", show_default=True,
        help="What an image without any label means: a mistake, or no class present.",
    )  # fmt: skip
    @click.option(
        "--allow-missing", is_flag=True, help="Leave out images without labels and labels without images."
    )
    @wraps(command)
    def with_reading(**given: Any) -> Any:
        from imbpipe.datasets.options import ReadOptions

        names = (
            "image_column", "label_column", "group_column", "label_separator", "empty_tags", "allow_missing"
        )  # fmt: skip
        reading = ReadOptions(**{name: given.pop(name) for name in names})
        return command(reading=reading, **given)

    return with_reading


class StrategyCommand(click.Command):
    """A command that takes every parameter of every registered strategy as an option of its own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from imbpipe.strategies.strategy import STRATEGIES, parameters_of

        meanings: dict[str, dict[str, list[str]]] = {}
        for strategy in STRATEGIES:
            for name in parameters_of(strategy):
                meaning = STRATEGIES.facts(strategy)[name].removesuffix(".")
                meanings.setdefault(name, {}).setdefault(meaning, []).append(strategy)
        own = super().get_params(ctx)
        options = [
            click.Option([f"--{name.replace('_', '-')}", f"parameter_{name}"], metavar="VALUE",
                         help=". ".join(f"{', '.join(takers)}: {text}" for text, takers in texts.items()))
            for name, texts in meanings.items()
        ]  # fmt: skip
        return [*own[:-1], *options, own[-1]]


def strategy_parameters(options: dict[str, Any]) -> dict[str, str]:
    """The parameters among a StrategyCommand's options that were given, by name."""
    return {
        name.removeprefix("parameter_"): value
        for name, value in options.items()
        if name.startswith("parameter_") and value is not None
    }
