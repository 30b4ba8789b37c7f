"""Fine-tunes made elsewhere, in a CSV or Parquet file → the training table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from predictor.catalog import did_you_mean
from predictor.config import split_list
from predictor.errors import TableError
from predictor.schema import keys
from predictor.schema.targets import TARGETS, Target, described
from predictor.table.columns import FeatureSchema
from predictor.table.table import Table, check_enough

MAX_CATEGORY_SHARE = 0.2
"""A text column with more different values than this part of the rows (and more than 20) names rows."""


def from_file(
    path: str | Path,
    target: str,
    group: str,
    features: str = "",
    exclude: str = "",
    task: str = "",
    *,
    unit: str = "",
    direction: str = "",
) -> Table:
    """The table in a file with one row for a fine-tune.

    Args:
        path: `.csv` or `.parquet`.
        target: the column to predict.
        group: columns, separated by commas, whose values are left out together in grouped validation; never features.
        features: regular expression; only columns in which it is found become features. Empty: every column.
        exclude: regular expression; columns in which it is found never become features. Everything measured after the
            fine-tune belongs here: this reader cannot know it.
        task: column that names the evaluation; rows are ranked within it. Empty: all rows are one evaluation.
        unit: of the target: `fraction` (0 to 1; a point is 0.01), or any other word (a point is 1). Empty: a plain
            number, unless the column is called as the score of a task (`score/<name>`).
        direction: `lower` where lower is better; `higher`, or empty.

    Raises:
        TableError: no such file or column, another file type, a bad expression, a fraction outside [0, 1], or too
            little to learn from. ConfigError: an unknown direction.
    """
    predicted = _target(target, unit, direction)
    path = Path(path)
    frame = read_frame(path)
    columns = [str(name) for name in frame.columns]
    frame.columns = pd.Index(columns)
    group_names = split_list(group)
    if not group_names:
        raise TableError(
            "no group column is named",
            where="-P group",
            rule="one or more columns whose values are held out together",
            fix=f"columns: {', '.join(columns[:12])}",
        )
    for name in (target, *group_names, *([task] if task else [])):
        if name not in columns:
            raise TableError(
                f"no column '{name}'", where=str(path), rule="a column of the file", fix=did_you_mean(name, columns)
            )
    y = pd.to_numeric(frame[target], errors="coerce").to_numpy(dtype=float)
    usable = np.isfinite(y)
    skipped = Counter({f"{target} is missing or not a finite number": int((~usable).sum())})
    frame, y = frame[usable].reset_index(drop=True), y[usable]
    rows, dropped = _choose(frame, {target, *group_names, *([task] if task else [])}, features, exclude)
    n = len(frame)
    unknown = np.full(n, np.nan)
    table = Table(
        rows=rows,
        schema=FeatureSchema.of(rows),
        y=y,
        target=predicted,
        column=target,
        groups={name: frame[name].astype(str).to_numpy(dtype=object) for name in group_names},
        tasks=(frame[task].astype(str) if task else pd.Series(["all"] * n)).to_numpy(dtype=object),
        run_ids=tuple((f"{path.name}:{i}",) for i in np.flatnonzero(usable)),
        seed_sd=unknown,
        seeds=np.ones(n, dtype=int),
        sampling_se=unknown,
        price=unknown,
        skipped={reason: count for reason, count in skipped.items() if count},
        dropped=dropped,
        source=str(path),
    )
    return check_enough(table)


def _target(column: str, unit: str, direction: str) -> Target:
    name = column.removeprefix(keys.SCORE)
    if name != column and name in TARGETS and not unit and not direction:
        return TARGETS.get(name)
    return described(name, unit, direction)


def read_frame(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file as a frame; raises TableError when it is neither or cannot be read."""
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix.lower() not in readers:
        raise TableError(f"'{path.suffix}' is no table", where=str(path), rule="a .csv or .parquet file")
    if not path.is_file():
        raise TableError("no such file", where=str(path), rule="a .csv or .parquet file", fix="check the path")
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, OSError) as error:
        raise TableError(
            f"cannot be read as a table: {error}", where=str(path), rule="a .csv or .parquet file"
        ) from error


def _choose(
    frame: pd.DataFrame, reserved: set[str], features: str, exclude: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    keep, dropped = [], {}
    wanted, unwanted = _expression("features", features), _expression("exclude", exclude)
    for name in frame.columns:
        values = frame[name]
        text = values.dtype.kind not in "biuf"
        if name in reserved:
            continue
        if wanted is not None and not wanted.search(name):
            dropped[name] = "not matched by features"
        elif unwanted is not None and unwanted.search(name):
            dropped[name] = "matched by exclude"
        elif values.isna().all():
            dropped[name] = "empty in every row"
        elif text and values.nunique() > max(20, MAX_CATEGORY_SHARE * len(frame)):
            dropped[name] = "text that names rows"
        else:
            keep.append(name)
    return frame[keep], dropped


def _expression(parameter: str, text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise TableError(
            f"{parameter}={text!r} is no regular expression: {error}",
            where=f"-P {parameter}",
            rule="Python's re syntax",
        ) from None
