"""The training table: what every validation, baseline and model reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from predictor.errors import TableError
from predictor.schema.targets import Target
from predictor.table.columns import FeatureSchema
from predictor.table.taught import Taught

MIN_ROWS = 8
"""Fewer rows than this cannot be split into train and test groups that say anything."""


@dataclass(frozen=True)
class Noise:
    """How much of the target no predictor can explain. Standard deviations in the target's unit; NaN when unknown.

    Attributes:
        sampling: root mean square standard error of the score on its finite number of questions.
        seed: pooled standard deviation between seeds of one configuration (it contains the sampling part only where
            seeds are scored on different questions).
        floor: RMSE below which a predictor is fitting noise: the seed and sampling parts of one row's label.
    """

    sampling: float
    seed: float
    floor: float


@dataclass(frozen=True)
class Table:
    """n rows of d features, one row for a configuration (its seeds averaged) or for a run.

    Attributes:
        rows: raw features, (n, d); numbers as float64, text as text.
        schema: names, kinds and categories of the columns.
        y: target, (n,), in the target's own unit.
        target: what is predicted: its unit, its bounds, which way is better.
        column: where it stands: `score/<name>` of a run, or a column of a file.
        groups: group column → label of each row; the first column is the headline of grouped validation.
        tasks: identity of the evaluation of each row; scores of different tasks are never ranked together.
        run_ids: the runs behind each row.
        seed_sd: standard deviation over the seeds of a row, (n,), NaN for one seed.
        seeds: number of runs averaged into each row, (n,).
        sampling_se: standard error of the score on its questions, (n,), NaN when unknown.
        price: cost of the full fine-tune in seconds, (n,), NaN when unknown.
        skipped: reason → number of runs or rows left out.
        group_names: label of a group of the headline column → what its datasets' names have in common, for people.
        dropped: column → reason why it is not a feature.
        source: where the rows came from.
        families: name of the family-group of each row, (n,); None where these are not known of all rows, or are fewer
            than three. Each is made of whole groups.
        no_families: why there are none, of a table of runs.
        counts: (n,) booleans: rows by which a predictor is judged; None: all. The others teach only: their probe
            watched the whole training, so that nothing was left to predict.
        taught: how the runs were made that a candidate must be like.
    """

    rows: pd.DataFrame
    schema: FeatureSchema
    y: np.ndarray
    target: Target
    column: str
    groups: Mapping[str, np.ndarray]
    tasks: np.ndarray
    run_ids: tuple[tuple[str, ...], ...]
    seed_sd: np.ndarray
    seeds: np.ndarray
    sampling_se: np.ndarray
    price: np.ndarray
    skipped: Mapping[str, int] = field(default_factory=dict)
    group_names: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    families: np.ndarray | None = None
    no_families: str = ""
    counts: np.ndarray | None = None
    taught: Taught = field(default_factory=Taught)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def matrix(self) -> np.ndarray:
        """(n, d) float64, categories as codes; the same code builds it for serving."""
        return self.schema.matrix(self.rows)

    @property
    def headline_group(self) -> str:
        """Name of the group column of the headline validation."""
        return next(iter(self.groups))

    @property
    def group(self) -> np.ndarray:
        """Labels of the headline group column, (n,)."""
        return self.groups[self.headline_group]

    @cached_property
    def judged(self) -> np.ndarray:
        """(n,) booleans: the rows by which a predictor is judged."""
        return np.ones(len(self), dtype=bool) if self.counts is None else self.counts

    @cached_property
    def noise(self) -> Noise:
        """What no predictor can explain, from the standard errors and from rows with several seeds."""
        sampling = _rms(self.sampling_se)
        repeated = self.seeds > 1
        seed = float("nan")
        if repeated.any():
            freedom = self.seeds[repeated] - 1
            seed = float(np.sqrt(np.sum(freedom * self.seed_sd[repeated] ** 2) / freedom.sum()))
        label_seed = seed / np.sqrt(np.mean(self.seeds)) if np.isfinite(seed) else 0.0
        known = np.isfinite(sampling) or np.isfinite(seed)
        floor = float(np.hypot(np.nan_to_num(sampling), label_seed)) if known else float("nan")
        return Noise(sampling, seed, floor)

    @cached_property
    def digest(self) -> str:
        """Equal for equal features, values of the target and groups in the same order."""
        sha = hashlib.sha256(self.schema.digest.encode())
        sha.update(np.ascontiguousarray(self.matrix).tobytes())
        sha.update(np.ascontiguousarray(self.y).tobytes())
        for name, labels in self.groups.items():
            sha.update("\0".join([name, *map(str, labels)]).encode())
        return sha.hexdigest()[:16]

    def take(self, index: np.ndarray) -> Table:
        """The rows at `index`, under the same schema."""
        return replace(
            self,
            rows=self.rows.iloc[index].reset_index(drop=True),
            y=self.y[index],
            groups={name: labels[index] for name, labels in self.groups.items()},
            tasks=self.tasks[index],
            run_ids=tuple(self.run_ids[i] for i in index),
            seed_sd=self.seed_sd[index],
            seeds=self.seeds[index],
            sampling_se=self.sampling_se[index],
            price=self.price[index],
            families=None if self.families is None else self.families[index],
            counts=None if self.counts is None else self.counts[index],
        )

    def select(self, names: list[str] | tuple[str, ...]) -> Table:
        """The same rows with only the named features."""
        return replace(self, rows=self.rows[list(names)], schema=self.schema.select(names))


def check_enough(table: Table) -> Table:
    """The table itself, when a predictor can be learnt from it.

    Raises:
        TableError: fewer than :data:`MIN_ROWS` rows, a target that never varies or that leaves its bounds, or no
            feature.
    """
    if len(table) < MIN_ROWS:
        raise TableError(
            f"only {len(table)} usable rows of {table.column}",
            where=table.source,
            rule=f"at least {MIN_ROWS} fine-tunes with different settings",
            fix=_skipped_text(table.skipped) or "run more fine-tunes on more datasets",
        )
    if int(table.judged.sum()) < MIN_ROWS:
        raise TableError(
            f"the probe watched the whole training in {len(table) - int(table.judged.sum())} of {len(table)} rows of "
            f"{table.column}",
            where=table.source,
            rule=f"at least {MIN_ROWS} fine-tunes that go on after their probe: of others nothing is left to predict",
            fix="a smaller probe_steps, or longer fine-tunes",
        )
    if float(np.ptp(table.y)) == 0.0:
        raise TableError(
            f"{table.column} is {table.y[0]:g} in all {len(table)} rows",
            where=table.source,
            rule="a target that varies: there is nothing to predict otherwise",
            fix="score more questions, or fine-tune on datasets of different quality",
        )
    outside = [value for value in table.y.tolist() if not table.target.inside(value)]
    if outside:
        unit = f", a {table.target.unit}" if table.target.unit else ""
        raise TableError(
            f"{table.column} is {outside[0]:g} in one of {len(outside)} such rows",
            where=table.source,
            rule=f"{table.column}{unit}, is {table.target.range}",
            fix="say in which unit it is: -P unit=points, for example",
        )
    if not table.schema.columns:
        raise TableError(
            "no column is left as a feature",
            where=table.source,
            rule="at least one hp/ or probe/ column (or a column that `features` matches)",
            fix="; ".join(f"{name}: {why}" for name, why in list(table.dropped.items())[:5]) or "see `features`",
        )
    return table


def _skipped_text(skipped: Mapping[str, int]) -> str:
    if not skipped:
        return ""
    return "skipped: " + "; ".join(f"{count} x {reason}" for reason, count in sorted(skipped.items()))


def _rms(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else float("nan")
