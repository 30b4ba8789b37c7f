"""Which columns a predictor reads, and the one way in which rows become its matrix, in training and in serving."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from predictor.errors import TableError
from predictor.table.planned import PLANNED, planned

Kind = Literal["number", "category"]


@dataclass(frozen=True)
class Column:
    """One feature. `categories` holds the texts seen in training, in the order of their codes."""

    name: str
    kind: Kind = "number"
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeatureSchema:
    """The features of a predictor, in the order of its matrix."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the category columns."""
        return tuple(i for i, column in enumerate(self.columns) if column.kind == "category")

    @classmethod
    def of(cls, frame: pd.DataFrame) -> FeatureSchema:
        """The schema of a training frame; a column that holds any text is a category, everything else a number."""
        columns = []
        for name in frame.columns:
            values = frame[name]
            if _is_text(values):
                seen = sorted({_text(v) for v in _distinct(values) if not _missing(v)})
                columns.append(Column(str(name), "category", tuple(seen)))
            else:
                columns.append(Column(str(name)))
        return cls(tuple(columns))

    def select(self, names: Sequence[str]) -> FeatureSchema:
        """The same columns, only those named, in the given order."""
        known = {column.name: column for column in self.columns}
        return FeatureSchema(tuple(known[name] for name in names))

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        """Rows as a float64 matrix of shape (rows, columns).

        A column of :data:`predictor.table.planned.PLANNED` that the rows lack follows from others. Any other that they
        lack, a value that is not finite and a text never seen in training become NaN, which
        trees send down their default branch; categories become their codes. Columns outside the schema are ignored.

        Raises:
            TableError: a number column holds text.
        """
        matrix = np.full((len(rows), len(self.columns)), np.nan)
        for j, column in enumerate(self.columns):
            if column.name not in rows.columns:
                if column.name in PLANNED:
                    matrix[:, j] = planned(column.name, rows)
                continue
            values = rows[column.name]
            if column.kind == "category":
                codes = {text: float(code) for code, text in enumerate(column.categories)}
                matrix[:, j] = [np.nan if _missing(v) else codes.get(_text(v), np.nan) for v in values]
            else:
                matrix[:, j] = _numbers(values, column.name)
        matrix[~np.isfinite(matrix)] = np.nan
        return matrix

    def frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows as a frame of the schema's columns, text as pandas categories; for people and figures."""
        matrix = self.matrix(rows)
        data: dict[str, Any] = {}
        for j, column in enumerate(self.columns):
            if column.kind == "category":
                codes = np.where(np.isnan(matrix[:, j]), -1, matrix[:, j]).astype(int)
                data[column.name] = pd.Categorical.from_codes(codes, categories=list(column.categories))
            else:
                data[column.name] = matrix[:, j]
        return pd.DataFrame(data, index=rows.index)

    def unseen_text(self, rows: pd.DataFrame) -> list[list[str]]:
        """For each row, the category columns whose text was never seen in training."""
        unseen: list[list[str]] = [[] for _ in range(len(rows))]
        for column in self.columns:
            if column.kind == "category" and column.name in rows.columns:
                for i, value in enumerate(rows[column.name]):
                    if not _missing(value) and _text(value) not in column.categories:
                        unseen[i].append(column.name)
        return unseen

    def to_json(self) -> list[dict[str, Any]]:
        """One object for each column, in their order, as JSON values."""
        return [{"name": c.name, "kind": c.kind, "categories": list(c.categories)} for c in self.columns]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> FeatureSchema:
        """The schema of which :meth:`to_json` gave the columns."""
        return cls(tuple(Column(c["name"], c["kind"], tuple(c["categories"])) for c in data))

    @property
    def digest(self) -> str:
        """16 hex digits, equal for equal columns in the same order."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:16]


def as_frame(rows: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> pd.DataFrame:
    """A frame from a frame, a list of mappings or one mapping, with a fresh 0…n-1 index."""
    if isinstance(rows, pd.DataFrame):
        return rows.reset_index(drop=True)
    if isinstance(rows, Mapping):
        rows = [rows]
    return pd.DataFrame(list(rows))


def _is_text(values: pd.Series) -> bool:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return True
    if values.dtype.kind in "biuf":
        return False
    return isinstance(values.dtype, pd.StringDtype) or any(isinstance(v, str) for v in values)


def _distinct(values: pd.Series) -> Iterable[Any]:
    """Each value once, where pandas knows that all are text; in a mixed column it would take 1 for True."""
    return values.unique() if isinstance(values.dtype, pd.StringDtype) else values


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _text(value: Any) -> str:
    """Numbers that share a column with text keep one spelling: 1, 1.0 and '1' are the same category."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _numbers(values: pd.Series, name: str) -> np.ndarray:
    try:
        return pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError):
        bad = next((v for v in values if not _missing(v) and not _is_number(v)), None)
        raise TableError(
            f"{bad!r} is not a number",
            where=f"column {name}",
            rule=f"{name} held numbers in training",
            fix="give a number, or leave the column out when it is unknown",
        ) from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True
