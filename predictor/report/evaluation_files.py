"""The files of an evaluation: the result, the advice and the page."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from predictor.evaluation.result import Evaluated
from predictor.report.evaluation_report import evaluation_page

RESULT: Final = "evaluation.json"
ADVICE: Final = "advice.json"
REPORT: Final = "report.html"


def write_evaluation(folder: Path, evaluated: Evaluated) -> None:
    """Write all three into a folder."""
    _write(folder / RESULT, evaluated.to_json())
    _write(folder / ADVICE, [dataclasses.asdict(advice) for advice in evaluated.advice])
    (folder / REPORT).write_text(evaluation_page(evaluated), encoding="utf-8")


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
