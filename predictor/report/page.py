"""One page that holds everything a person needs to judge a predictor."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from io import BytesIO

from matplotlib.figure import Figure

from predictor.schema.targets import Target

Rows = Sequence[Sequence[str]]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.strong td { font-weight: 600; }
img { max-width: 100%; }
p.note { color: #555; }
"""


class Page:
    """An HTML page that stands alone: figures are inside it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str, *, note: bool = False) -> None:
        """A paragraph of plain text; `note` shows it paler."""
        mark = ' class="note"' if note else ""
        self._parts.append(f"<p{mark}>{html.escape(text)}</p>")

    def table(self, head: Sequence[str], rows: Rows, *, strong: int | None = None) -> None:
        """A table; `strong` is the row that stands out."""
        cells = "".join(f"<th>{html.escape(text)}</th>" for text in head)
        body = []
        for number, row in enumerate(rows):
            mark = ' class="strong"' if number == strong else ""
            body.append(f"<tr{mark}>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>")
        self._parts.append(f"<table><tr>{cells}</tr>{''.join(body)}</table>")

    def figure(self, figure: Figure, caption: str) -> None:
        """A figure as a PNG inside the page, with its caption as a note beneath."""
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        data = base64.b64encode(buffer.getvalue()).decode()
        self._parts.append(f'<img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">')
        self.paragraph(caption, note=True)

    def render(self) -> str:
        """The whole page as HTML."""
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(self.title)}</title>'
            f"<style>{_STYLE}</style><body><h1>{html.escape(self.title)}</h1>{''.join(self._parts)}</body></html>"
        )


def metric_rows(metrics: Mapping[str, Mapping[str, float]], target: Target) -> list[list[str]]:
    """One row of text for each name: errors in points, then R², rank correlation and the share within ±3 points."""
    return [
        [
            name,
            target.text(m["rmse"]),
            target.text(m["mae"]),
            f"{m['r2']:.2f}",
            f"{m['spearman']:.2f}",
            f"{100 * m['within_3_points']:.0f} %",
            target.text(m["regret_top1"]),
            f"{100 * m['cost_saved']:.0f} %",
            f"{100 * m['coverage']:.0f} %",
        ]
        for name, m in metrics.items()
    ]


METRIC_HEAD = ("", "RMSE", "MAE", "R²", "Spearman", "within ±3", "regret@1", "cost saved", "coverage")
