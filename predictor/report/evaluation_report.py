"""The page of an evaluation, and the page that puts several beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from predictor.evaluation.measured import OriginalResult
from predictor.evaluation.pareto import front
from predictor.evaluation.result import Evaluated
from predictor.report.evaluation_text import told
from predictor.report.labels import plain, readable
from predictor.report.page import Page

_BASE, _TUNED, _WORSE = "0.65", "tab:blue", "tab:red"
_STYLES: dict[str, dict[str, Any]] = {
    "train/loss": {"lw": 1.0, "color": _BASE},
    "eval/loss": {"marker": "o", "ms": 3.5},
}
"""How each curve is drawn."""
_MOST = 32
"""Characters of a name in a figure."""


def evaluation_page(evaluated: Evaluated) -> str:
    """One fine-tune beside its base, as HTML that stands alone."""
    page = Page(f"{evaluated.verdict}: {readable(evaluated.title)} beside {readable(evaluated.base_model)}")
    page.paragraph(evaluated.rule)
    for note in evaluated.notes:
        page.paragraph(note, note=True)
    if evaluated.advice:
        page.heading("What to change")
        page.table(("", "evidence"), [[each.text, _evidence(each.evidence)] for each in evaluated.advice])
    _task(page, evaluated)
    _originals(page, evaluated)
    _retention(page, evaluated)
    _overfitting(page, evaluated)
    _manners(page, evaluated)
    _noise(page, evaluated)
    return page.render()


def comparison_page(evaluated: Sequence[Evaluated]) -> str:
    """Several fine-tunes: score against forgetting with the Pareto front, and every original task."""
    page = Page(f"{len(evaluated)} fine-tunes compared")
    points = [(_gain(each), 100 * each.forgetting) for each in evaluated]
    best = front([gain for gain, _ in points], [lost for _, lost in points])
    page.paragraph(
        "Up is better at the task, left is less forgotten. On the Pareto front are those that no other beats in both."
    )
    if any(math.isfinite(gain) and math.isfinite(lost) for gain, lost in points):
        page.figure(_scatter(evaluated, points, best), "gain of the task against forgetting; bars: 95 % of finite rows")
    rows = [
        [
            readable(each.title) or each.run_id,
            each.verdict,
            told(gain),
            told(lost),
            told(100 * each.retention.whole.retention) if each.retention else "",
            each.overfitting.verdict if each.overfitting else "",
            told(each.task.divergence) if each.task else "",
            "front" if on else "",
        ]
        for each, (gain, lost), on in zip(evaluated, points, best, strict=True)
    ]
    head = ("fine-tune", "verdict", "gain, points", "forgetting, points", "retention, %", "overfitting", "KL", "Pareto")
    page.table(head, rows)
    names = list(dict.fromkeys(original.name for each in evaluated for original in each.originals))
    page.heading("Original tasks")
    page.table(
        ("change in points", *names),
        [
            [readable(each.title), *(_change({o.name: o for o in each.originals}.get(name)) for name in names)]
            for each in evaluated
        ],
    )
    page.heading("Why")
    page.table(("fine-tune", "rule"), [[readable(each.title), each.rule] for each in evaluated])
    return page.render()


def _task(page: Page, evaluated: Evaluated) -> None:
    task = evaluated.task
    if task is None:
        return
    page.heading(f"The task: {task.task}")
    scale = {name: task.point if name == task.headline else 1.0 for name in task.scores}
    rows = [
        [
            name, f"{score.base:.4g}", f"{score.tuned:.4g}", f"{score.gain / scale[name]:+.3g}",
            f"{score.low / scale[name]:+.3g} to {score.high / scale[name]:+.3g}", f"{score.p:.2g}",
            str(score.won), str(score.lost), str(score.n),
        ]
        for name, score in task.scores.items()
    ]  # fmt: skip
    head = ("", "base", "tuned", "gain (headline: points)", "95 % interval", "p", "rows won", "rows lost", "rows")
    page.table(head, rows, strong=0)
    figure = Figure(figsize=(6.0, 2.6), layout="constrained")
    axes = figure.subplots()
    names = list(task.scores)
    for place, name in enumerate(names):
        axes.bar(place - 0.2, task.scores[name].base, 0.38, color=_BASE, label="base" if not place else None)
        axes.bar(place + 0.2, task.scores[name].tuned, 0.38, color=_TUNED, label="tuned" if not place else None)
    axes.set_xticks(range(len(names)), [plain(name, _MOST) for name in names])
    axes.legend(frameon=False)
    _bare(axes)
    page.figure(figure, "base against tuned; rows.json among the run's artifacts has each question with both answers")


def _originals(page: Page, evaluated: Evaluated) -> None:
    if not evaluated.originals:
        return
    page.heading("What the base could do before")
    page.paragraph(
        f"Forgetting {100 * evaluated.forgetting:+.2f} points (noise floor {196 * evaluated.forgetting_se:.2f}): the "
        "mean over these tasks of what the score has lost. Scores lie between 0 and 1: the share of right answers, or "
        "of texts the probability of a byte, 2^(−bits per byte)."
    )
    figure = Figure(figsize=(6.5, 1.2 + 0.45 * len(evaluated.originals)), layout="constrained")
    axes = figure.subplots()
    for place, original in enumerate(evaluated.originals):
        gain = 100 * original.score.gain
        axes.barh(place, gain, color=_TUNED if gain >= 0 else _WORSE, alpha=0.85)
        floor = 100 * original.score.floor
        axes.plot([-floor, floor], [place, place], color="0.2", lw=4, alpha=0.35, solid_capstyle="butt")
    axes.axvline(0.0, color="0.3", lw=0.8)
    axes.axvline(-evaluated.limit, color=_WORSE, lw=0.8, ls="--")
    axes.set_yticks(range(len(evaluated.originals)), [plain(each.name, _MOST) for each in evaluated.originals])
    axes.invert_yaxis()
    axes.set_xlabel("change in points")
    _bare(axes)
    page.figure(figure, "change by original task; grey: what finitely many rows make of nothing; dashed: the limit")
    rows = [
        [
            original.name, original.metric, f"{original.score.base:.4f}", f"{original.score.tuned:.4f}",
            f"{100 * original.score.gain:+.2f} ± {100 * original.score.floor:.2f}", f"{original.score.p:.2g}",
            str(original.score.n), told(original.divergence),
        ]
        for original in evaluated.originals
    ]  # fmt: skip
    page.table(("", "score", "base", "tuned", "change, points", "p", "rows", "KL, nats/token"), rows)
    page.table(
        ("further numbers", "base", "tuned"),
        [
            [f"{original.name}: {name}", told(base), told(tuned)]
            for original in evaluated.originals
            for name, base, tuned in _beside(original)
        ],
    )


def _retention(page: Page, evaluated: Evaluated) -> None:
    kept = evaluated.retention
    if kept is None:
        return
    page.heading("What it knew before")
    page.paragraph(
        f"Of {kept.whole.n} questions the base had {kept.whole.base} right, the fine-tune {kept.whole.tuned}; "
        f"{kept.whole.both} both, {kept.gained} gained, {kept.lost} lost. Of a base that guesses, most right answers "
        "are luck, and luck is not retained."
    )
    subjects = kept.subjects if len(kept.subjects) > 1 else (kept.whole,)
    figure = Figure(figsize=(6.5, 1.2 + 0.3 * len(subjects)), layout="constrained")
    axes = figure.subplots()
    for place, subject in enumerate(subjects):
        if subject.base:
            axes.errorbar(subject.retention, place, xerr=subject.error, fmt="o", color=_TUNED, capsize=3)
    axes.set_yticks(range(len(subjects)), [plain(subject.name, _MOST) for subject in subjects])
    axes.invert_yaxis()
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("retention, one standard error")
    _bare(axes)
    page.figure(figure, "share of the questions that the base had right and the fine-tune still has, by subject")
    page.table(
        ("", "questions", "base", "tuned", "both", "retention"),
        [
            [
                subject.name, str(subject.n), str(subject.base), str(subject.tuned), str(subject.both),
                f"{told(100 * subject.retention)} % ± {told(100 * subject.error)}",
            ]
            for subject in (*kept.subjects, kept.whole)
        ],
    )  # fmt: skip


def _overfitting(page: Page, evaluated: Evaluated) -> None:
    seen = evaluated.overfitting
    if seen is None:
        return
    page.heading(f"Overfitting: {seen.verdict}")
    if evaluated.curves.get("eval/loss") or evaluated.curves.get("train/loss"):
        figure = Figure(figsize=(6.5, 3.0), layout="constrained")
        axes = figure.subplots()
        for key, style in _STYLES.items():
            if evaluated.curves.get(key):
                axes.plot(*zip(*evaluated.curves[key], strict=True), label=key, **style)
        if seen.best_step is not None:
            axes.axvline(seen.best_step, color="0.3", lw=0.8, ls="--")
            axes.plot(seen.best_step, seen.best_loss, marker="v", color=_WORSE, label=f"lowest, step {seen.best_step}")
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("nats per token")
        axes.legend(frameon=False)
        _bare(axes)
        page.figure(figure, "loss of the training and of the development slice")
    numbers = {name: value for name, value in seen.numbers().items() if math.isfinite(value)}
    if numbers:
        page.table(("", ""), [[name, f"{value:.4g}"] for name, value in numbers.items()])


def _manners(page: Page, evaluated: Evaluated) -> None:
    pairs = [(evaluated.task.task, evaluated.task.manner)] if evaluated.task else []
    pairs += [(each.name, each.manner) for each in evaluated.originals if each.manner is not None]
    if not pairs:
        return
    page.heading("How it answers")
    figure = Figure(figsize=(6.5, 1.2 + 0.5 * len(pairs)), layout="constrained")
    axes = figure.subplots()
    for place, (_, (base, tuned)) in enumerate(pairs):
        axes.barh(place - 0.2, base.length, 0.38, color=_BASE, label="base" if not place else None)
        axes.barh(place + 0.2, tuned.length, 0.38, color=_TUNED, label="tuned" if not place else None)
    axes.set_yticks(range(len(pairs)), [plain(name, _MOST) for name, _ in pairs])
    axes.invert_yaxis()
    axes.set_xlabel("tokens of an answer")
    axes.legend(frameon=False)
    _bare(axes)
    page.figure(figure, "mean length of the answers")
    page.table(
        ("", "tokens, base", "tuned", "refused, base", "tuned", "empty, base", "tuned"),
        [
            [
                name, f"{base.length:.1f}", f"{tuned.length:.1f}", f"{100 * base.refusals:.0f} %",
                f"{100 * tuned.refusals:.0f} %", f"{100 * base.empty:.0f} %", f"{100 * tuned.empty:.0f} %",
            ]
            for name, (base, tuned) in pairs
        ],
    )  # fmt: skip


def _noise(page: Page, evaluated: Evaluated) -> None:
    page.heading("What noise alone makes")
    rows = []
    if evaluated.task is not None:
        rows.append(["task, finite questions", f"±{evaluated.task.score.floor / evaluated.task.point:.2f} points"])
    if evaluated.originals:
        rows.append(["forgetting, finite rows", f"±{196 * evaluated.forgetting_se:.2f} points"])
    if math.isfinite(evaluated.repeat):
        rows.append(["the same tokens in other batches", f"{evaluated.repeat:.2g} nats per token"])
    rows += [[f"{name}, between seeds", f"standard deviation {value:.3g}"] for name, value in evaluated.seeds.items()]
    if not evaluated.seeds:
        rows.append(["between seeds", "unknown: no other seed of this fine-tune is in its experiment"])
    page.table(("", "95 %"), rows)


def _scatter(evaluated: Sequence[Evaluated], points: Sequence[tuple[float, float]], best: Sequence[bool]) -> Figure:
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    for each, (gain, lost), on in zip(evaluated, points, best, strict=True):
        if not (math.isfinite(gain) and math.isfinite(lost)):
            continue
        up = each.task.score.floor / each.task.point if each.task else 0.0
        axes.errorbar(lost, gain, xerr=196 * each.forgetting_se, yerr=up, fmt="o", alpha=0.9, lw=0.6,
                      color=_TUNED if on else _BASE)  # fmt: skip
        axes.annotate(plain(each.title, _MOST), (lost, gain), fontsize=7, xytext=(4, 4), textcoords="offset points")
    line = sorted((lost, gain) for (gain, lost), on in zip(points, best, strict=True) if on)
    axes.plot([lost for lost, _ in line], [gain for _, gain in line], color=_TUNED, lw=0.8, ls="--")
    axes.set_xlabel("forgetting, points (less is better)")
    axes.set_ylabel("gain of the task, points")
    _bare(axes)
    return figure


def _gain(evaluated: Evaluated) -> float:
    return evaluated.task.score.gain / evaluated.task.point if evaluated.task else math.nan


def _beside(original: OriginalResult) -> list[tuple[str, float, float]]:
    """The details that both models have: name, base, tuned."""
    names = [name.removesuffix("_base") for name in original.details if name.endswith("_base")]
    return [(name, original.details[f"{name}_base"], original.details.get(f"{name}_tuned", math.nan)) for name in names]


def _change(original: OriginalResult | None) -> str:
    return f"{100 * original.score.gain:+.2f} ± {100 * original.score.floor:.2f}" if original else ""


def _evidence(numbers: object) -> str:
    items = numbers.items() if hasattr(numbers, "items") else ()
    return ", ".join(f"{name} {value:.4g}" for name, value in items if value is not None and math.isfinite(value))


def _bare(axes: object) -> None:
    axes.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
