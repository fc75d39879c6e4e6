"""What a strategy is, and how its parameters are read from text."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np

from imbpipe.errors import UsageError
from imbpipe.registry import Registry
from imbpipe.strategies.plan import Plan
from imbpipe.types import TrainingSet

Strategy = Callable[..., Plan]
"""(TrainingSet, Generator, *, parameters) -> Plan; the parameters are keyword-only and annotated."""

STRATEGIES: Registry[Strategy] = Registry("strategy", package="imbpipe.strategies")


def parameters_of(strategy: str) -> dict[str, inspect.Parameter]:
    """The strategy's own parameters by name; those without a default are required."""
    signature = inspect.signature(STRATEGIES[strategy])
    return {p.name: p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}


def read_parameters(strategy: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the strategy wants them, defaults filled in, so that equal settings are equal.

    given: values or their text. Raises UsageError: a parameter that the strategy does not have, a
    value that is not of its type.
    """
    known = parameters_of(strategy)
    for name in given:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise UsageError(f"strategy {strategy!r} has no parameter {name!r}", f"Its parameters: {takes}")
    return {
        name: _convert(strategy, parameter, given[name]) if name in given else parameter.default
        for name, parameter in known.items()
    }


def check_number(strategy: str, name: str, value: float, least: float, most: float = np.inf) -> None:
    """Raises UsageError: a parameter's value that is not finite or not from `least` to `most`."""
    if not (np.isfinite(value) and least <= value <= most):
        wanted = f"at least {least:g}" if most == np.inf else f"from {least:g} to {most:g}"
        raise UsageError(f"strategy {strategy!r}: {name} is {value}", f"Choose a number {wanted}")


def require_single_label(strategy: str, data: TrainingSet, instead: str) -> None:
    """Raises UsageError where images may have several labels. instead: strategies for such data."""
    if data.task != "single-label":
        raise UsageError(
            f"strategy {strategy!r} is for single-label data: its softmax gives an image one class",
            f"For several labels an image: {instead}",
        )


def _convert(strategy: str, parameter: inspect.Parameter, value: Any) -> Any:
    wanted = get_args(parameter.annotation) or (parameter.annotation,)
    if value is None and type(None) in wanted:
        return None
    for kind in wanted:
        if isinstance(kind, str) and value == kind:
            return value
        if isinstance(kind, type) and kind is not type(None):
            try:
                converted = kind(value)
            except (TypeError, ValueError):
                continue
            if not isinstance(value, float) or converted == value:
                return converted
    *most, last = (
        repr(kind)
        if isinstance(kind, str)
        else {int: "a whole number", float: "a number"}.get(kind, str(kind))
        for kind in wanted
        if kind is not type(None)
    )
    words = f"{', '.join(most)} or {last}" if most else last
    raise UsageError(f"strategy {strategy!r}: {parameter.name} is {words}, not {value!r}")
