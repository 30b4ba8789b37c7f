"""Run records → the training table."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictor.errors import TableError
from predictor.schema import keys
from predictor.schema.codec import SIZES
from predictor.schema.coded import Coded, combined
from predictor.schema.families import family_of
from predictor.schema.measured import Metrics
from predictor.schema.record import HpValue, RunRecord
from predictor.schema.records import Records
from predictor.schema.targets import Target, target_of
from predictor.table.columns import FeatureSchema
from predictor.table.families import MIN_FAMILIES, family_groups
from predictor.table.groups import dataset_groups
from predictor.table.planned import PLANNED, planned
from predictor.table.table import Table, check_enough
from predictor.table.taught import Taught

GROUP = "dataset"
"""Name of the group column of a table built from records."""
METHOD = f"{keys.HP}method"
"""Column that a table has when its runs are of several methods."""
_BLOCK = 4096
"""Units averaged at once: a few megabytes at a time, used again and again, cost less than the whole in new memory."""


def feature_row(record: RunRecord) -> dict[str, HpValue]:
    """The features of one run, for training and for serving: only `hp/` and `probe/` can ever get in.

    Nothing that was measured after the probe has one of these two prefixes, so nothing else can leak. A predictor
    that runs of one method taught has no column for the method, and passes it over.
    """
    row: dict[str, HpValue] = {f"{keys.HP}{name}": value for name, value in sorted(record.hp.items())}
    row[METHOD] = record.method
    row.update({f"{keys.PROBE}{name}": float(value) for name, value in sorted(record.probe.items())})
    return row


def build(
    records: Iterable[RunRecord],
    target: Target | str = "score/exact_match",
    *,
    average_seeds: bool = True,
    source: str = "",
    row_hashes: Mapping[str, np.ndarray] | None = None,
) -> Table:
    """The table of the runs that may teach a predictor of `target`.

    Args:
        records: of any kind and status; those that may not teach are counted by reason.
        target: what is predicted, or `score/<name>` of a target that a task declares.
        average_seeds: one row for the seeds of a configuration, their features and target averaged; otherwise one row
            for a run.
        source: where the records came from, for messages.
        row_hashes: row sketch → more row hashes of the same dataset, for large ones; see `dataset_groups`.

    Raises:
        TableError: no run may teach (with the reasons), too few rows, or a target that never varies. ConfigError: no
            task declares the target.
    """
    if isinstance(target, str):
        target = target_of(target)
    key = target.key
    runs = Records.of(records)
    reasons = _ineligible(runs, key)
    eligible = runs.take(np.flatnonzero(~reasons.matches(bool)))
    skipped = dict(Counter(reason for reason in reasons if reason))
    if not len(eligible):
        detail = "; ".join(f"{count} x {reason}" for reason, count in sorted(skipped.items()))
        raise TableError(
            f"none of {len(runs)} runs can teach a predictor of {key}",
            where=source or None,
            rule="finished, complete runs of kind finetune that hold the target",
            fix=f"skipped: {detail}" if detail else "run `finetune` first, or name the experiment that holds the runs",
        )
    units = _Units.of(eligible, average_seeds)
    rows, dropped = _features(eligible, units)
    firsts = eligible.take(units.first)
    mean, deviation = units.spread(eligible.metrics.column(key)[0])
    datasets = _dataset(firsts)
    sketches = dict(zip(datasets, firsts.columns["row_sketch"], strict=True))
    groups = datasets.map(dataset_groups(sketches, row_hashes).get)
    families, no_families = _families(eligible, dict(zip(datasets, groups, strict=True)), units)
    table = Table(
        rows=rows,
        schema=FeatureSchema.of(rows),
        y=mean,
        target=target,
        column=key,
        groups={GROUP: np.array(list(groups), dtype=object)},
        tasks=np.array(
            list(map("{}:{}".format, firsts.columns["task"], firsts.columns["eval_fingerprint"])), dtype=object
        ),
        run_ids=units.gather(eligible.run_ids),
        seed_sd=deviation,
        seeds=units.size,
        sampling_se=units.spread(_sampling_se(eligible.metrics, target))[0],
        price=units.spread(_price(eligible.metrics))[0],
        skipped=skipped,
        group_names=_group_names(set(zip(groups, firsts.columns["dataset"], strict=True))),
        dropped=dropped,
        source=source,
        families=families,
        no_families=no_families,
        counts=units.spread(_whole(eligible).astype(float))[0] == 0.0,
        taught=Taught.of(eligible),
    )
    return check_enough(table)


def _ineligible(runs: Records, target: str) -> Coded:
    """Why a run may not teach, or None.

    What :meth:`RunRecord.ineligible` looks at is alike in most runs, so one run of each likeness is asked.
    """
    values, known = runs.metrics.column(target)
    seen = [runs.columns[name] for name in ("kind", "status", "complete")]
    seen += [Coded(each.astype(np.int64), (False, True)) for each in (known, np.isfinite(values))]
    likeness = Coded(combined(seen), ())
    return Coded(likeness.codes, [runs[row].ineligible(target) for row in likeness.firsts()])


@dataclass(frozen=True)
class _Units:
    """Rows of the table: runs that differ in nothing but their seed.

    Attributes:
        order: (runs,) the runs, those of a unit together, units and their runs as they first came.
        start, size: (units,) where in `order` a unit begins, and how many runs it has.
    """

    order: np.ndarray
    start: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, runs: Records, average_seeds: bool) -> _Units:
        columns = runs.columns
        identity = [
            _dataset(runs),
            columns["task"],
            columns["eval_fingerprint"],
            columns["base_model_digest"].otherwise(columns["base_model"]),
            columns["encoder_digest"],
            # Of other sizes, features of one name are other numbers.
            *(columns[name] for name in ("method", *SIZES)),
            # One code for what is equal and was written in different ways.
            Coded.concat([columns["hp"].map(lambda hp: frozenset(hp.items()))]),
        ]
        unit = combined(identity) if average_seeds else np.arange(len(runs))
        size = np.bincount(unit)
        return cls(np.argsort(unit, kind="stable"), np.cumsum(size) - size, size)

    @property
    def first(self) -> np.ndarray:
        """(units,) the first run of each unit."""
        return self.order[self.start]

    def gather(self, values: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The values of each unit's runs."""
        ordered = [values[run] for run in self.order.tolist()]
        bounds = zip(self.start.tolist(), (self.start + self.size).tolist(), strict=True)
        return tuple(tuple(ordered[start:end]) for start, end in bounds)

    def spread(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (NaN for one run) of each unit, from a value of each run."""
        ordered = values[self.order]
        mean = np.add.reduceat(ordered, self.start) / self.size
        squares = np.add.reduceat((ordered - np.repeat(mean, self.size)) ** 2, self.start)
        freedom = np.where(self.size > 1, self.size - 1, np.nan)
        return mean, np.sqrt(squares / freedom)

    def means(self, metrics: Metrics, names: list[str]) -> np.ndarray:
        """(units, names) the mean of those of a unit's values that are finite, NaN where none is."""
        means = np.empty((len(self.size), len(names)))
        for block in range(0, len(means), _BLOCK):
            start, size = self.start[block : block + _BLOCK], self.size[block : block + _BLOCK]
            total, count = np.zeros((2, len(size), len(names)))
            # Run after run, so that each sum is added up in the order of the unit's runs.
            for k in range(int(size.max())):
                having = np.flatnonzero(size > k)
                part = metrics.take(self.order[start[having] + k]).matrix(names)
                finite = np.isfinite(part)
                total[having] += np.where(finite, part, 0.0)
                count[having] += finite
            with np.errstate(invalid="ignore"):
                means[block : block + _BLOCK] = total / count  # 0 / 0 is NaN: not known in any run
        return means


def _dataset(runs: Records) -> Coded:
    columns = runs.columns
    return columns["dataset_fingerprint"].otherwise(columns["dataset"]).otherwise(Coded.of(runs.run_ids))


def _group_names(datasets: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Label of a group → what its datasets' names have in common, for people; from label and name of each dataset."""
    members: dict[str, set[str]] = defaultdict(set)
    for label, name in datasets:
        members[label].add(name)
    # Letter by letter: names of lab datasets and of files in one folder begin alike.
    shared = {label: os.path.commonprefix(sorted(names)) for label, names in members.items()}  # noqa: RUF071
    names = {
        label: prefix if len(members[label]) == 1 else f"{prefix}… ({len(members[label])} datasets)"
        for label, prefix in shared.items()
    }
    times = Counter(names.values())
    return {label: f"{name} {label[:6]}" if times[name] > 1 else name for label, name in names.items() if name}


def _features(runs: Records, units: _Units) -> tuple[pd.DataFrame, dict[str, str]]:
    """Features by row, and the columns left out with the reason.

    The same values as rows of :func:`feature_row`, put together by column: a hundred thousand runs have ten million of
    them.
    """
    # Hyperparameters are of mixed types, so pandas chooses the columns' types, from every Hj once.
    hp = runs.columns["hp"].take(units.first).used()
    distinct = pd.DataFrame([{f"{keys.HP}{name}": value for name, value in each.items()} for each in hp.distinct])
    names = [name for name in runs.metrics.known if name.startswith(keys.PROBE)]
    probe = pd.DataFrame(units.means(runs.metrics, names), columns=names)
    frame = pd.concat([distinct.take(hp.codes).reset_index(drop=True), probe], axis=1)
    method = runs.columns["method"].take(units.first)
    if len(method.firsts()) > 1:
        frame[METHOD] = list(method)
    for name in PLANNED:
        if np.isfinite(values := planned(name, frame)).any():
            frame[name] = values
    frame = frame[sorted(frame.columns)]
    empty = [name for name in frame.columns if frame[name].isna().all()]
    return frame.drop(columns=empty), dict.fromkeys(empty, "empty in every run")


def _families(runs: Records, group: Mapping[str, str], units: _Units) -> tuple[np.ndarray | None, str]:
    """(units,) name of each row's family-group, and why there are none where a family is not known, or too few are.

    Args:
        group: dataset → its group.
    """
    columns = runs.columns
    datasets, told = _dataset(runs), columns["family"].otherwise(columns["dataset"].map(family_of))
    pairs = set(zip(datasets, told, strict=True))
    known = {dataset for dataset, family in pairs if family}
    if len(known) < len(group):
        unknown = sorted(
            {name for dataset, name in zip(datasets, columns["dataset"], strict=True) if dataset not in known}
        )
        return None, f"the family of {len(unknown)} of {len(group)} datasets is not known, such as {unknown[0]}"
    named = family_groups((group[dataset], family) for dataset, family in pairs if family)
    if len(set(named.values())) < MIN_FAMILIES:
        return None, f"the datasets are of fewer than {MIN_FAMILIES} families that share no rows"
    return np.array([named[group[dataset]] for dataset in datasets.take(units.first)], dtype=object), ""


def _whole(runs: Records) -> np.ndarray:
    """(runs,) whether the probe watched the whole training: nothing was then left to predict."""
    steps, known = runs.metrics.column(f"{keys.COST}train_steps")
    watched = runs.metrics.column(f"{keys.COST}probe_train_s")[1]
    seen = np.array([np.nan if each is None else each for each in runs.columns["probe_steps"]], dtype=float)
    with np.errstate(invalid="ignore"):
        return known & watched & (steps <= seen)


def _sampling_se(metrics: Metrics, target: Target) -> np.ndarray:
    """(runs,) standard error of the target on its questions: what the run says, else NaN.

    For a share of n questions that are right or wrong it follows from the share where the run says nothing.
    """
    told, known = metrics.column(target.key + keys.SE)
    if target.error != "bernoulli":
        return np.where(known, told, np.nan)
    p, n = metrics.column(target.key)[0], metrics.column(keys.SCORE_N)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.where((n > 0) & (p >= 0) & (p <= 1), np.sqrt(p * (1.0 - p) / n), np.nan)
    return np.where(known, told, largest)


def _price(metrics: Metrics) -> np.ndarray:
    """(runs,) seconds of the full fine-tune: the total when it was recorded, otherwise the sum of the parts.

    What a run took from a cache counts as if it had been done: a cache says nothing of the next dataset's price.
    """
    price = np.full(len(metrics), np.nan)
    total = f"{keys.COST}total_s"
    for names, rows in metrics.alike():
        parts = [name for name in names if name.startswith(keys.COST) and name.endswith("_s")]
        if parts:
            whole = [name for name in parts if name == total or name.startswith(keys.COST_SAVED)]
            price[rows] = metrics.take(rows).matrix(whole if total in parts else parts).sum(axis=1)
    return price
