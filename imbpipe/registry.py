"""Named things: a name, the function or class behind it, and what its docstring says of it."""

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from imbpipe.errors import UnknownNameError

T = TypeVar("T", bound=Callable)

_FACT = re.compile(r"^(\w+): (.+?)(?=^\w+: |\n\n|\Z)", re.MULTILINE | re.DOTALL)


class Registry(Generic[T]):
    """The one place where things of a kind are named.

    kind: singular, as it stands in messages ("strategy").
    package: on the first look-up every module of it is imported, so that what they decorate is known,
        and then the entry points that other packages offer under the same name ("imbpipe.strategies").
    """

    def __init__(self, kind: str, *, package: str) -> None:
        self.kind = kind
        self._package = package
        self._things: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str) -> Callable[[T], T]:
        """Register the decorated thing under `name`; a name taken twice is a bug."""

        def register(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._things[name] = thing
            return thing

        return register

    def __getitem__(self, name: str) -> T:
        self._load()
        try:
            return self._things[name]
        except KeyError:
            raise UnknownNameError(*self._unknown(name)) from None

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._things)

    def __len__(self) -> int:
        self._load()
        return len(self._things)

    def summary(self, name: str) -> str:
        """The first line of the docstring of the thing called `name`."""
        return (inspect.getdoc(self[name]) or "").partition("\n")[0]

    def facts(self, name: str) -> dict[str, str]:
        """What the docstring of `name` says under `Source:`, `Terms:` … and of keyword-only parameters."""
        thing = self[name]
        keywords = [p.name for p in inspect.signature(thing).parameters.values() if p.kind is p.KEYWORD_ONLY]
        found = _FACT.findall(inspect.getdoc(thing) or "")
        return {key: " ".join(text.split()) for key, text in found if key[0].isupper() or key in keywords}

    def defaults(self, name: str) -> dict[str, Any]:
        """The keyword-only parameters of `name` that may be left out, with their values then."""
        given = inspect.signature(self[name]).parameters.values()
        return {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}

    def _unknown(self, name: str) -> tuple[str, str]:
        close = difflib.get_close_matches(name, self._things, n=1)
        meant = f"Did you mean {close[0]!r}? " if close else ""
        return f"no {self.kind} named {name!r}", f"{meant}Known: {', '.join(self._things)}"

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            importlib.import_module(f"{self._package}.{module}")
        by_module = sorted(self._things.items(), key=lambda named: named[1].__module__)
        self._things = dict(by_module)  # whichever module was imported first
        for entry in entry_points(group=self._package):
            self.add(entry.name)(entry.load())
        self._loaded = True
