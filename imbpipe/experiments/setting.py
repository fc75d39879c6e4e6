"""A strategy with its parameters: what a row of a table stands for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbpipe.errors import UsageError
from imbpipe.strategies.strategy import parameters_of, read_parameters


@dataclass(frozen=True)
class Setting:
    """strategy: a registered name. parameters: all of its parameters as JSON, defaults included."""

    strategy: str
    parameters: str

    @classmethod
    def of(cls, strategy: str, **given: Any) -> "Setting":
        """Check and complete what a user wrote. Raises UsageError, UnknownNameError."""
        return cls(strategy, json.dumps(read_parameters(strategy, given), sort_keys=True))

    @property
    def values(self) -> dict[str, Any]:
        return json.loads(self.parameters)

    @property
    def label(self) -> str:
        """The first parameter and what differs from the defaults: "factor=3.0, per=label"; may be empty."""
        told = {
            name: self.values[name]
            for place, (name, parameter) in enumerate(parameters_of(self.strategy).items())
            if self.values[name] is not None and (place == 0 or self.values[name] != parameter.default)
        }
        return ", ".join(f"{name}={value}" for name, value in told.items())


BASELINE = Setting("baseline", "{}")


def read_settings(strategies: Sequence[str], given: Mapping[str, str]) -> tuple[Setting, ...]:
    """The baseline, then each strategy with those of the parameters that it takes.

    Raises UnknownNameError; UsageError: a parameter that none of the strategies takes.
    """
    for parameter in given:
        if not any(parameter in parameters_of(strategy) for strategy in strategies):
            raise UsageError(
                f"none of {', '.join(strategies)} has a parameter {parameter!r}", "See: imbpipe strategies"
            )
    chosen = (
        Setting.of(name, **{key: text for key, text in given.items() if key in parameters_of(name)})
        for name in strategies
    )
    return tuple(dict.fromkeys([BASELINE, *chosen]))
