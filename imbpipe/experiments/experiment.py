"""An experiment file: what to compare, on what, how often."""

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import ResultsError, UsageError
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.heads.run import HeadConfig, Protocol

Alternatives = tuple[str, ...]
"""Names of which the first that is at hand is taken."""

_PROTOCOL = {f.name for f in fields(Protocol)}
READING = {
    "empty_tags": ("error", "negative"),
    "allow_missing": bool,
    "image_column": str,
    "label_column": str,
    "group_column": str,
    "label_separator": str,
}
"""What `reading` may say, and each one's values or their type."""


@dataclass(frozen=True)
class Entry:
    """One strategy of an experiment. datasets: names it is for; empty: all."""

    setting: Setting
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """title: what the experiment is called. datasets, encoders: each a name or a list of alternatives.

    splits, split_seed: how many, and the seed of the first; the next ones follow. split: see `make_split`.
    seeds: how many on each split; counted on from 0, so that no two splits share one.
    beta, thresholds, percentile: see `Grid`. metric: what tables show unless another is asked for.
    margin: the difference in a mean over classes that does not matter; see `rank`.
    choose: of several settings of a strategy, rank only the best on validation images.
    reading: how to read label files, by the names of ReadOptions, for example {"allow_missing": true}.
    on: changes for the data sets named, for example {"ade20k": {"protocol": {"epochs": 10}}}.
    """

    datasets: tuple[Alternatives, ...]
    encoders: tuple[Alternatives, ...]
    entries: tuple[Entry, ...]
    title: str = ""
    seeds: int = 5
    split: str = "stratified"
    split_seed: int = 0
    splits: int = 1
    beta: float = 2.0
    thresholds: Literal["f-beta", "paper"] = "f-beta"
    percentile: float = 25.0
    metric: str = "ap"
    margin: float = 0.02
    choose: bool = True
    protocol: Protocol = field(default_factory=Protocol)
    reading: Mapping[str, Any] = field(default_factory=dict)
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(self, dataset: str) -> tuple[Setting, ...]:
        """What is compared on `dataset`, the baseline first, nothing twice."""
        chosen = [entry.setting for entry in self.entries if not entry.datasets or dataset in entry.datasets]
        return tuple(dict.fromkeys([BASELINE, *chosen]))

    def read_options(self, **more: Any) -> ReadOptions:
        """How its label files are read. more: what the file does not say."""
        return ReadOptions(**self.reading, **more)

    def on_dataset(self, dataset: str) -> "Experiment":
        """The experiment with its changes for this data set."""
        changes = dict(self.on.get(dataset, {}))
        protocol = replace(self.protocol, **changes.pop("protocol", {}))
        return replace(self, **changes, protocol=protocol)


def read_experiment(path: Path) -> Experiment:
    """Read a TOML file such as `experiments/paper.toml`.

    Raises ResultsError: the file cannot be read; UsageError: a key, strategy or value that is not known.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        here = sorted(set(Path().glob("*.toml")) - {Path("pyproject.toml")})
        example = here[0] if here else "experiments/paper.toml"
        raise ResultsError(f"no experiment file {path}", f"Name one, for example {example}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ResultsError(f"{path}: {error}") from None
    try:
        return experiment_of(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error.fact}", error.remedy) from None


def experiment_of(content: dict[str, Any]) -> Experiment:
    """From what a TOML file says. Raises UsageError: a key, strategy or value that is not known."""
    _only("the experiment", content, {*(f.name for f in fields(Experiment)), "strategies"} - {"entries"})
    for key in ("datasets", "encoders", "strategies"):
        if not content.get(key):
            raise UsageError(f"it names no {key}", f"Add {key} = […]")
    entries = tuple(entry for table in content.pop("strategies") for entry in _entries(table))
    for key in ("seeds", "splits"):
        number = content.get(key, 1)
        if not isinstance(number, int) or number < 1:
            raise UsageError(f"{key} is {number!r}", "It is how many, from 1 up")
    if content.get("thresholds", "paper") not in ("f-beta", "paper"):
        raise UsageError(f"thresholds is {content['thresholds']!r}", "Known: f-beta, paper")
    _check_reading(content.get("reading", {}))
    for dataset, changes in content.get("on", {}).items():
        _only(f"on.{dataset}", changes, {"protocol", "percentile"})
        _only(f"on.{dataset}.protocol", changes.get("protocol", {}), _PROTOCOL - {"head"})
    return Experiment(
        datasets=tuple(map(_alternatives, content.pop("datasets"))),
        encoders=tuple(map(_alternatives, content.pop("encoders"))),
        entries=entries,
        protocol=_protocol(dict(content.pop("protocol", {}))),
        **content,
    )


def _check_reading(table: dict[str, Any]) -> None:
    _only("reading", table, set(READING))
    for name, value in table.items():
        wanted = READING[name]
        if isinstance(wanted, tuple) and value not in wanted:
            raise UsageError(f"reading.{name} is {value!r}", f"Known: {', '.join(wanted)}")
        if isinstance(wanted, type) and not isinstance(value, wanted):
            raise UsageError(f"reading.{name} is {value!r}", f"It is a {wanted.__name__}")


def _protocol(table: dict[str, Any]) -> Protocol:
    _only("protocol", table, _PROTOCOL)
    head = table.pop("head", {})
    _only("protocol.head", head, {f.name for f in fields(HeadConfig)})
    return Protocol(**table, head=HeadConfig(**head))


def _alternatives(name: str | list[str]) -> Alternatives:
    return (name,) if isinstance(name, str) else tuple(name)


def _entries(table: dict[str, Any]) -> Iterator[Entry]:
    """A parameter that is a list stands for one setting a value."""
    parameters = dict(table)
    if "strategy" not in parameters:
        raise UsageError("an entry of strategies names no strategy", 'Add strategy = "…"')
    strategy = parameters.pop("strategy")
    datasets = tuple(parameters.pop("datasets", ()))
    choices = [value if isinstance(value, list) else [value] for value in parameters.values()]
    for values in itertools.product(*choices):
        yield Entry(Setting.of(strategy, **dict(zip(parameters, values, strict=True))), datasets)


def _only(where: str, given: dict[str, Any], known: set[str]) -> None:
    for key in given:
        if key not in known:
            raise UsageError(f"{where} has no {key!r}", f"Known: {', '.join(sorted(known))}")
