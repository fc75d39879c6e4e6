"""Options of `imbpipe extract` that say where it computes."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from imbpipe.errors import UsageError

if TYPE_CHECKING:
    from imbpipe.extract.engine import Engine

Command = Callable[..., Any]
Parameter = click.Parameter | None
Context = click.Context | None
OF_SLURM = ("jobs", "partition", "minutes", "gpus", "cpus", "logs", "sbatch")


@dataclass(frozen=True)
class Where:
    """engine: what computes. address: of a Ray cluster. shard: (number, count) of a part, counted from 0.

    slurm: what was said of the queue, by the names of `Queue`.
    """

    engine: Literal["local", "ray", "slurm"]
    address: str | None
    shard: tuple[int, int] | None
    slurm: dict[str, Any]

    @contextmanager
    def opened(self) -> Iterator["Engine"]:
        """The machines, for as long as the context."""
        if self.engine == "ray":
            from imbpipe.cli.output import say
            from imbpipe.extract.ray_engine import ray_engine

            if self.address is None:
                say("Starting Ray on this machine; --address HOST:PORT takes a cluster.")
            with ray_engine(self.address) as engine:
                yield engine
        else:
            from imbpipe.extract.slurm_engine import Queue, SlurmEngine

            yield SlurmEngine(Queue(**self.slurm))


class Shard(click.ParamType):
    """A part and the number of parts, as 2/8."""

    name = "shard"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[int, int]:
        """(number, count), the number counted from 0."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", str(value))
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= count:
            self.fail(f"{value!r} is no part: give 1/8 to 8/8.", param, ctx)
        return number - 1, count


class Minutes(click.ParamType):
    """A time as SLURM writes it: minutes, HH:MM:SS or D-HH:MM:SS."""

    name = "time"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> int:
        """Minutes, rounded up."""
        found = re.fullmatch(r"(\d+)|(?:(\d+)-)?(\d+):(\d\d):(\d\d)", str(value))
        if not found:
            self.fail(f"{value!r} is no time: give minutes, HH:MM:SS or D-HH:MM:SS.", param, ctx)
        if found[1]:
            return max(1, int(found[1]))
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
        return max(1, days * 1440 + hours * 60 + minutes + (seconds > 0))


class KeyValue(click.ParamType):
    """A name and a value, as account=vision."""

    name = "option"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[str, str]:
        """The two."""
        name, equals, text = str(value).removeprefix("--").partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is no option of sbatch: give account=NAME.", param, ctx)
        return name.replace("-", "_"), text


def where(command: Command) -> Command:
    """Where it computes; gives the command a `Where` as `where`."""

    @click.option(
        "--engine", type=click.Choice(["local", "ray", "slurm"]), default="local", show_default=True,
        help="What computes: this machine, a Ray cluster, or jobs in a SLURM queue. See docs/scale.md.",
    )  # fmt: skip
    @click.option(
        "--address", envvar="RAY_ADDRESS", show_envvar=True, metavar="HOST:PORT|auto",
        help="ray: of the cluster; without, Ray is started on this machine for the call.",
    )  # fmt: skip
    @click.option(
        "--shard", type=Shard(), metavar="I/N",
        help="Encode the I-th of N parts alone; `imbpipe cache pack` publishes when all are there.",
    )  # fmt: skip
    @click.option("--jobs", type=click.IntRange(1), metavar="N", help="slurm: number of jobs; default 8.")
    @click.option("--partition", metavar="NAME", help="slurm: where to run.")
    @click.option(
        "--time", "minutes", type=Minutes(), metavar="TIME",
        help="slurm: that a job may take, as 4:00:00 (the default), before it is put back into the queue.",
    )  # fmt: skip
    @click.option("--gpus", type=click.IntRange(0), metavar="N", help="slurm: GPUs a job; default 1.")
    @click.option("--cpus", type=click.IntRange(1), metavar="N", help="slurm: CPU cores a job; default 8.")
    @click.option(
        "--logs", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="slurm: folder of what jobs print; default slurm-logs.",
    )  # fmt: skip
    @click.option(
        "--sbatch", type=KeyValue(), multiple=True, metavar="NAME=VALUE",
        help="slurm: a further option of sbatch, as account=vision.",
    )  # fmt: skip
    @wraps(command)
    def with_where(engine: Any, address: str | None, shard: Any, **given: Any) -> Any:
        slurm = {name: given.pop(name) for name in OF_SLURM}
        said = {name: value for name, value in slurm.items() if value not in (None, ())}
        return command(where=_checked(Where(engine, address, shard, said)), **given)

    return with_where


def _checked(said: Where) -> Where:
    """Raises UsageError: an option that is for another engine."""
    engine, slurm = said.engine, said.slurm
    named = click.get_current_context().get_parameter_source("address") is ParameterSource.COMMANDLINE
    if engine != "ray" and said.address and named:
        raise UsageError("--address is for --engine ray", "Add that, or leave it out")
    if slurm and engine != "slurm":
        name = {"minutes": "time"}.get(first := next(iter(slurm)), first)
        raise UsageError(f"--{name} is for --engine slurm", "Add that, or leave it out")
    if said.shard and engine != "local":
        raise UsageError(f"--shard with --engine {engine}, which shares out by itself", "Leave out one")
    if "sbatch" in slurm:
        slurm = {**slurm, "sbatch": dict(slurm["sbatch"])}
    return replace(said, address=said.address if engine == "ray" else None, slurm=slurm)
