"""The `key=value` of an operator, read strictly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from predictor.catalog import did_you_mean
from predictor.config import Expression
from predictor.errors import ConfigError


@dataclass(frozen=True)
class Options:
    """The options of one operator, each known and given once."""

    where: str
    given: Mapping[str, str]

    @classmethod
    def of(cls, expression: Expression, known: Iterable[str]) -> Options:
        """The options of an expression.

        Raises:
            ConfigError: an unknown key, or one that is given twice.
        """
        known, given = tuple(known), {}
        for key, value in expression.options:
            if key not in known:
                raise ConfigError(
                    f"unknown key '{key}' of {expression.operator}",
                    where=expression.text,
                    rule=f"keys: {', '.join(known)}",
                    fix=did_you_mean(key, known),
                )
            if key in given:
                raise ConfigError(f"{key} is given twice", where=expression.text, rule="each key once")
            given[key] = value
        return cls(expression.text, given)

    def share(self, key: str, meaning: str, default: float) -> float:
        """A number from 0 to 1, and what it means, for messages."""
        text = self.given.get(key)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 <= value <= 1.0:
            raise ConfigError(
                f"{key}={text} is out of range",
                where=self.where,
                rule=f"{key} ({meaning}): a number from 0 to 1",
                fix=f"{key}=0.5",
            )
        return value

    def whole(self, key: str, least: int, default: int | None = None) -> int | None:
        """A whole number."""
        text = self.given.get(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or int(text) < least:
            raise ConfigError(
                f"{key}={text} is out of range",
                where=self.where,
                rule=f"{key}: a whole number of at least {least}",
                fix=f"{key}={max(least, 1)}",
            )
        return int(text)

    @property
    def seed(self) -> int:
        """`seed=`, 1 where none is given."""
        seed = self.whole("seed", 0, 1)
        return 1 if seed is None else seed

    def span(self, key: str) -> tuple[int, int] | None:
        """A first and a last number, counted from 0 and both included, of `3-7` or `3`."""
        text = self.given.get(key)
        if text is None:
            return None
        first, dash, last = text.partition("-")
        last = last if dash else first
        sound = all(part.isascii() and part.isdecimal() for part in (first, last))
        if not sound or int(first) > int(last):
            raise ConfigError(
                f"{key}={text} is no span",
                where=self.where,
                rule=f"{key}: FIRST-LAST, counted from 0, both included",
                fix=f"{key}=0-63",
            )
        return int(first), int(last)
