"""A table from names to objects that says what was meant when a name is unknown."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from predictor.errors import ConfigError

T = TypeVar("T")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known name, or the list of all when none is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(sorted(known))}"


class Catalog(Generic[T]):
    """Plug-ins of one kind, by name, in the order in which they were registered.

    Args:
        kind: what the entries are, in the singular, for messages (`"task"`, `"dataset format"`).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Put an entry under its name, and give it back.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of :meth:`add`."""
        return lambda entry: self.add(name, entry)

    def get(self, name: str, *, where: str | None = None) -> T:
        """The entry called `name`; raises ConfigError with the nearest known name."""
        try:
            return self._entries[name]
        except KeyError:
            raise ConfigError(
                f"unknown {self.kind} '{name}'",
                where=where,
                rule=f"one of: {', '.join(sorted(self._entries))}",
                fix=did_you_mean(name, self._entries),
            ) from None

    def names(self) -> list[str]:
        """The names in the order in which they were registered."""
        return list(self._entries)

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def discover(package: str, folders: Iterable[str]) -> None:
    """Import every file of a package of plug-ins, each of which registers itself: a further plug-in is one more file.

    Args:
        package: its full name. folders: its `__path__`.
    """
    for module in pkgutil.iter_modules(list(folders)):
        importlib.import_module(f"{package}.{module.name}")
