"""The live table of a sweep: lines on the terminal, a CSV in the artifacts, curves on the parent run."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError
from predictor.masking import masked
from predictor.progress import Progress
from predictor.schema import keys
from predictor.sweep.driver import Tally, rows
from predictor.sweep.job import Outcome

FILE = "runs.csv"
_HEAD = f"{'status':<9} {'score':>6} {'seconds':>8}  fine-tune"


class LiveTable:
    """Shows each outcome as it comes.

    Args:
        run: the sweep's own run.
        total: fine-tunes of the plan, when known.
        every_s: seconds between two versions of the CSV in the store.
    """

    def __init__(self, run: Any, progress: Progress, total: int | None, every_s: float) -> None:
        self._run = run
        self._progress = progress
        self._every_s = every_s
        self._outcomes: list[Outcome] = []
        self._written = self._started = time.monotonic()
        progress.stage("sweep", total or 0)
        progress.note(_HEAD)

    def add(self, outcome: Outcome, tally: Tally) -> None:
        """One outcome: a line, a step of the bar, points of the curves, and now and then the CSV."""
        self._outcomes.append(outcome)
        config = outcome.job.config
        text = config.title
        if outcome.status != "done":
            score = "" if math.isnan(outcome.score) else f"{outcome.score:.3f}"
            self._progress.note(f"{outcome.status:<9} {score:>6} {outcome.seconds:>8.1f}  {text}  {outcome.message}")
        settled = outcome.status in ("finished", "done") or outcome.job.identity in tally.set_aside
        best = tally.best.score if tally.best else math.nan
        rate = 60 * tally.finished / max(1e-9, time.monotonic() - self._started)
        self._progress.advance(int(settled), best=best, failed=float(tally.failed), per_minute=rate)
        values: dict[str, float] = {
            "finished": tally.finished,
            "failed": tally.failed,
            "set_aside": len(tally.set_aside),
        }
        if tally.best:
            values["best_score"] = tally.best.score
        self._run.curve(len(self._outcomes), {f"{keys.SWEEP}{name}": value for name, value in values.items()})
        if time.monotonic() - self._written > self._every_s:
            self._written = time.monotonic()
            try:
                self._run.client.log_text(self._run.run_id, self._text(), FILE)
            except (PredictorError, OSError) as error:  # the table is a comfort; the runs are what counts
                self._progress.note(f"{FILE} could not be written: {masked(error)}")

    @property
    def identities(self) -> set[str]:
        """The fine-tunes that are complete, whoever has made them."""
        return {each.job.identity for each in self._outcomes if each.status in ("finished", "done")}

    def write(self, folder: Path) -> None:
        """The CSV as an artifact of the sweep."""
        (folder / FILE).write_text(self._text(), encoding="utf-8")

    def close(self, tally: Tally) -> None:
        """Name what was set aside."""
        reasons = {outcome.job.identity: outcome for outcome in self._outcomes}
        for identity, reason in tally.set_aside.items():
            config = reasons[identity].job.config
            self._progress.note(f"set aside: {config.title} ({reason})")

    def metrics(self, tally: Tally, seconds: float) -> dict[str, float]:
        """The sweep's figures."""
        values = {
            f"{keys.SWEEP}total": float(tally.settled),
            f"{keys.SWEEP}finished": float(tally.finished),
            f"{keys.SWEEP}done_before": float(tally.done_before),
            f"{keys.SWEEP}failed": float(tally.failed),
            f"{keys.SWEEP}set_aside": float(len(tally.set_aside)),
            f"{keys.SWEEP}seconds": seconds,
        }
        if tally.best:
            values[f"{keys.SWEEP}best_score"] = tally.best.score
        return values

    def _text(self) -> str:
        stream = io.StringIO()
        table = rows(self._outcomes)
        writer = csv.DictWriter(stream, list(table[0]) if table else ["dataset"])
        writer.writeheader()
        writer.writerows(table)
        return stream.getvalue()
