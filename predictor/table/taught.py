"""How the runs behind a table were made, as far as a candidate that is ranked by them must be made alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.schema import keys
from predictor.schema.codec import SIZES
from predictor.schema.coded import combined
from predictor.schema.record import RunRecord
from predictor.schema.records import Records

_FIELDS = (
    "task",
    "method",
    "base_model",
    "base_model_digest",
    "encoder_digest",
    "eval_dataset",
    "eval_fingerprint",
    *SIZES,
)
_RUNS = "runs"


@dataclass(frozen=True)
class Strange:
    """How a candidate's probe differs from all runs that taught.

    Attributes:
        name: of the parameter that differs, or `encoder`.
        causes: parameters by which a user may have asked for it.
        text: what it was, and what it was in the runs that taught.
    """

    name: str
    causes: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Taught:
    """How the runs that taught were made.

    Attributes:
        settings: each combination of a record's :data:`_FIELDS` that any run has, with the number of these `runs`, the
            most common one first. What a run does not say is not in its combination.
    """

    settings: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, runs: Records) -> Taught:
        """What is common to the runs, and where they differ."""
        numbers = combined([runs.columns[name] for name in _FIELDS])
        firsts, counts = np.unique(numbers, return_index=True, return_counts=True)[1:]
        found = [
            {
                _RUNS: count,
                **{n: runs.columns[n][first] for n in _FIELDS if runs.columns[n][first] not in ("", None)},
            }
            for first, count in zip(firsts.tolist(), counts.tolist(), strict=True)
        ]
        return cls(tuple(sorted(found, key=lambda each: -each[_RUNS])))

    def known(self, name: str) -> list[Any]:
        """The values that a field had in any run, the most common combination's first."""
        return list(dict.fromkeys(each[name] for each in self.settings if name in each))

    def parameters(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """:data:`keys.LIKE_TAUGHT` as in the runs that taught, but for those that the user said.

        Where the runs differ among each other, they are those of the most common ones among those that agree with most
        of what was said.
        """
        runs: dict[tuple[Any, ...], int] = {}
        for each in self.settings:
            values = tuple(each.get(name) for name in keys.LIKE_TAUGHT)
            runs[values] = runs.get(values, 0) + each[_RUNS]

        def near(values: tuple[Any, ...]) -> tuple[int, int]:
            agreeing = sum(said[n] == v for n, v in zip(keys.LIKE_TAUGHT, values, strict=True) if n in said)
            return agreeing, runs[values]

        nearest = dict(zip(keys.LIKE_TAUGHT, sorted(runs, key=near)[-1], strict=True)) if runs else {}
        return {name: value for name, value in nearest.items() if value is not None and name not in said}

    def strange(self, record: RunRecord) -> Strange | None:
        """The first thing in which a record differs from all runs that taught; None when there is none.

        What either side does not say is not compared. Without the digest of a base model, as a probe of its cheapest
        tiers does not have it, the names are.
        """
        evaluation = ("eval_dataset", "eval_limit", "dev_limit", "task")
        limits = self.known("eval_limit")
        limit = "eval_limit" if limits and record.eval_limit not in (None, *limits) else "eval_dataset"
        base = "base_model_digest" if record.base_model_digest else "base_model"
        compared = (
            ("base_model", ("base_model",), base, record.base_model),
            ("task", ("task",), "task", ""),
            ("method", ("method",), "method", ""),
            ("dev_limit", ("dev_limit",), "dev_limit", ""),
            ("probe_steps", ("probe_steps",), "probe_steps", ""),
            (limit, evaluation, "eval_fingerprint", record.eval_dataset),
            ("encoder", (), "encoder_digest", ""),
        )
        for name, causes, field, called in compared:
            value, known = getattr(record, field), self.known(field)
            if value not in ("", None) and known and value not in known:
                told = f"{called} ({field} {value})" if called and called != value else f"{field} {value}"
                return Strange(name, causes, f"{told}; in the runs that taught {_listed(known)}")
        return None

    def to_json(self) -> list[dict[str, Any]]:
        """The combinations as JSON values."""
        return [dict(each) for each in self.settings]

    @classmethod
    def from_json(cls, data: Iterable[Mapping[str, Any]]) -> Taught:
        """What :meth:`to_json` wrote."""
        return cls(tuple(dict(each) for each in data))


def _listed(values: list[Any], shown: int = 5) -> str:
    more = f" and {len(values) - shown} others" if len(values) > shown else ""
    return ", ".join(map(str, values[:shown])) + more
