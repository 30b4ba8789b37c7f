"""A trained predictor in a few lines of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from predictor.schema.targets import Target
from predictor.table import Table


class _Validation(Protocol):
    @property
    def metrics(self) -> Mapping[str, float]: ...

    @property
    def baselines(self) -> Mapping[str, Mapping[str, float]]: ...

    @property
    def folds(self) -> int: ...


class _Step(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def features(self) -> int: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...


class _Interval(Protocol):
    @property
    def half_width(self) -> float: ...

    @property
    def groups(self) -> int: ...

    @property
    def guaranteed(self) -> bool: ...


def summary(
    table: Table,
    validations: Mapping[str, _Validation],
    interval: _Interval,
    permuted_r2: float,
    importance: Mapping[str, float],
    steps: Sequence[_Step] = (),
    tiers: Sequence[_Step] = (),
    after_50: float | None = None,
    headline: str = "group",
) -> list[str]:
    """What was learnt from what, how far it can be trusted, and what it rests on; the grouped split first.

    Args:
        headline: the split by which it is judged first, `group` or `family`: its baselines are all told.
        after_50: RMSE to expect after 50 more runs, extrapolated.
    """
    target = table.target
    points = target.points
    noise = table.noise
    groups = len(set(map(str, table.group)))
    families = 0 if table.families is None else len(set(table.families))
    unseen, count = ("families", families) if headline == "family" else ("groups", groups)
    lines = [
        f"{len(table)} rows of {sum(len(unit) for unit in table.run_ids)} runs in {groups} groups"
        f"{f' of {families} families' if families else ''}, "
        f"{len(table.schema.columns)} features, target {table.column}"
        + ("" if target.higher_is_better else ", lower is better"),
    ]
    lines += [f"skipped {count} x {reason}" for reason, count in sorted(table.skipped.items())]
    if whole := int((~table.judged).sum()):
        lines.append(f"{whole} rows teach but are not judged by: their probe watched the whole training")
    if math.isfinite(noise.floor):
        seed = f", between seeds {target.text(noise.seed)}" if math.isfinite(noise.seed) else ", one seed each"
        sampling = target.text(noise.sampling) if math.isfinite(noise.sampling) else "unknown"
        lines.append(f"noise floor {target.text(noise.floor)} {points} (scored questions {sampling}{seed})")
    lines.append(
        f"{f'error in {points} on rows not seen':<34}{'RMSE':>8}{'MAE':>8}{'R2':>8}{'Spearman':>10}{'in +-3':>8}"
    )
    for split, validation in validations.items():
        first = ", headline" if split == headline and "family" in validations else ""
        lines.append(_line(f"{split} split ({validation.folds} fits){first}", validation.metrics, target))
        if split in ("group", "family"):
            ordered = sorted(validation.baselines.items(), key=lambda each: each[1]["rmse"])
            shown = ordered if split == headline else ordered[:1]
            lines += [_line(f"  baseline {name}", metrics, target) for name, metrics in shown]
    if table.no_families:
        lines.append(f"no family split: {table.no_families}")
    lines.append(f"permuted targets: R2 {permuted_r2:+.3f} (a leak would show as a value clearly above 0)")
    covered = 100 * validations[headline].metrics["coverage"]
    promise = "" if interval.guaranteed else "; too few groups to promise 90 %: this is the largest error seen"
    lines.append(
        f"90 % interval: +-{target.text(interval.half_width, 1)} {points} from {interval.groups} {unseen}, "
        f"coverage on new {unseen} {covered:.0f} %{promise}"
    )
    if count < 30:
        lines.append(f"with {count} {unseen} all these figures are rough: expect them to move as runs are added")
    if steps:
        lines.append(f"step by step, RMSE on {unseen} not seen: " + _row(steps, target))
    if tiers:
        lines.append("with the features of a cheaper tier: " + _row(tiers, target))
    if after_50 is not None:
        lines.append(f"50 more runs like these would bring RMSE to about {target.text(after_50)} (extrapolated)")
    strongest = ", ".join(f"{name} {target.text(value, 1)}" for name, value in list(importance.items())[:5])
    lines.append(f"strongest features (mean |SHAP|, {points}): {strongest}")
    return lines


def _row(steps: Sequence[_Step], target: Target) -> str:
    return ", ".join(f"{step.name} ({step.features}) {target.text(step.metrics['rmse'])}" for step in steps)


def _line(label: str, metrics: Mapping[str, float], target: Target) -> str:
    return (
        f"{label:<34}{target.text(metrics['rmse']):>8}{target.text(metrics['mae']):>8}{metrics['r2']:>8.2f}"
        f"{metrics['spearman']:>10.2f}{100 * metrics['within_3_points']:>7.0f}%"
    )
