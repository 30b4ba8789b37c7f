"""The readable page of a dataset report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from predictor.data.figures import bars, histogram
from predictor.data.rejection import CODES
from predictor.data.writing import written_whole

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .25rem .9rem .25rem 0; text-align: left;
vertical-align: top; border-bottom: 1px solid #e4e4e4; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
.state { padding: .6rem 1rem; border-radius: 4px; } .good { background: #e6f2e8; } .bad { background: #f8e6e4; }
figure { margin: 1rem 0; } figcaption { color: #666; } svg { max-width: 100%; height: auto; }
li, td { overflow-wrap: anywhere; } code { font-size: .9em; } .quiet { color: #666; }
"""


def write_page(path: Path, report: Mapping[str, Any]) -> None:
    """The report as one self-contained HTML file, whole or not at all."""
    parts = [*_summary(report), *_rejections(report)]
    figures = report.get("preflight")
    if figures is None:
        parts.append("<h2>Pre-flight</h2><p class=quiet>Switched off.</p>")
    else:
        parts += [*_lengths(figures), *_repeats(figures), *_answers(figures), *_labels(figures), *_languages(figures)]
    title = f"Dataset report: {escape(_short(report['source']))}"
    with written_whole(path) as file:
        file.write(
            f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{title}</title>"
            f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
        )


def _short(source: str) -> str:
    return source.rstrip("/").rsplit("/", 1)[-1]


def _summary(report: Mapping[str, Any]) -> Iterable[str]:
    faults = report["faults"]
    if faults:
        listed = "".join(f"<li>{escape(fault)}</li>" for fault in faults)
        yield f"<div class='state bad'><b>Not ready for training.</b> No data were written:<ul>{listed}</ul></div>"
    else:
        yield "<div class='state good'><b>Ready for training.</b> All checks passed.</div>"
    rows: list[tuple[str, Any]] = [
        ("source", report["source"]),
        ("format", f"{report['format']}: {report['format_reason']}"),
        ("rows", report["rows"]),
        ("accepted", report["accepted"]),
        ("refused", report["rejected"]),
        ("fingerprint", report["fingerprint"]),
    ]
    for split, counts in report["read"].items():
        rows.append((f"read as {split}", f"{counts['accepted']} accepted of {counts['rows']}"))
    rows += [(f"written to {name}", count) for name, count in report.get("outputs", {}).items()]
    yield _table(rows)
    if report["notes"]:
        yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in report["notes"]) + "</ul>"


def _rejections(report: Mapping[str, Any]) -> Iterable[str]:
    codes = report["rejected_by_code"]
    if not codes:
        return
    yield "<h2>Refused rows</h2>"
    yield _table([(code, count, CODES.get(code, "")) for code, count in codes.items()], ("code", "rows", "meaning"))
    listed = "".join(f"<li>{escape(text)}</li>" for text in report["first_rejections"])
    yield f"<p>The first, all of them with their content in <code>rejected.jsonl</code>:</p><ul>{listed}</ul>"


def _lengths(figures: Mapping[str, Any]) -> Iterable[str]:
    tokens = figures.get("tokens")
    if tokens and tokens["total"]["rows"]:
        yield "<h2>Length in tokens</h2>"
        yield _figure(histogram(tokens["total"], "tokens, prompt and completion", tokens["max_length"]), "Whole rows")
        yield _figure(histogram(tokens["completion"], "tokens"), "Completions: what is learned from")
        yield _table(
            [
                ("tokens that a base model sees in one epoch", tokens["seen"], ""),
                ("… of which it learns", tokens["learnt"], _percent(tokens["learnt"] / max(1, tokens["seen"]))),
                ("cut at max_length", tokens["cut"], _percent(tokens["cut_rate"])),
                ("wholly masked", tokens["masked"], _percent(tokens["masked_rate"])),
                ("refused by the chat template", tokens["refused_by_template"], ""),
            ],
            ("", "tokens or rows", "share"),
        )
    yield "<h2>Length in characters</h2>"
    for name, distribution in figures["characters"].items():
        if distribution["rows"]:
            caption = (
                f"{name.capitalize()}: mean {distribution['mean']:.0f}, median {distribution['median']:.0f}, "
                f"95th percentile {distribution['p95']:.0f}, longest {distribution['max']}"
            )
            yield _figure(histogram(distribution, "characters"), caption)


def _repeats(figures: Mapping[str, Any]) -> Iterable[str]:
    found = figures["duplicates"]
    yield "<h2>Repetition</h2>"
    rows = [
        ("exact repeats of an earlier row", found["exact"], _percent(found["exact_rate"])),
        ("same input as an earlier row", found["same_input"], ""),
        (f"near repeats among the first {found['near_looked_at']} rows", found["near"], _percent(found["near_rate"])),
    ]
    overlap = figures.get("overlap")
    if overlap:
        rows += [
            ("prompts of the evaluation set", overlap["prompts"], ""),
            ("… and near ones", overlap["prompts"] + overlap["near_prompts"], _percent(overlap["prompt_rate"])),
            ("passages of the evaluation set", overlap["contexts"], ""),
            ("… and near ones", overlap["contexts"] + overlap["near_contexts"], _percent(overlap["context_rate"])),
            ("answers of the evaluation set", overlap["answers"], _percent(overlap["answer_rate"])),
        ]
    yield _table(rows, ("", "rows", "share"))


def _answers(figures: Mapping[str, Any]) -> Iterable[str]:
    found = figures.get("answers")
    if not found:
        return
    yield "<h2>Answers</h2>"
    rows = [
        ("empty answers", _percent(found["empty_rate"])),
        ("distinct answers", found["distinct"]),
        (f"the commonest, “{found['commonest']}”", _percent(found["commonest_rate"])),
        ("answer stands in its passage", _percent(found["in_context_rate"])),
        ("chat markup inside a turn", f"{found['markup']} ({_percent(found['markup_rate'])})"),
    ]
    yield _table(rows)


def _labels(figures: Mapping[str, Any]) -> Iterable[str]:
    found = figures.get("labels")
    if found:
        yield "<h2>Labels</h2>"
        yield _figure(bars(found["counts"], "rows"), f"{found['distinct']} labels")


def _languages(figures: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>Languages</h2>"
    yield _figure(bars(figures["languages"], "rows"), "By script and common words; short texts are often ‘other’")


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> str:
    def cell(value: Any) -> str:
        number = isinstance(value, int)
        text = f"{value:,}".replace(",", "\u202f") if number else escape(str(value))
        return f"<td class=n>{text}</td>" if number and head else f"<td>{text}</td>"

    top = "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>" if head else ""
    return "<table>" + top + "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows) + "</table>"
