"""Jobs and outcomes as files in a folder that the sweep and its workers see; all that Slurm's machines may share."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Final

from predictor.config import from_values
from predictor.errors import PredictorError
from predictor.files import whole_file
from predictor.sweep.job import Job, Outcome
from predictor.trial.config import FinetuneConfig

_POLL_S: Final = 0.1
_SILENCE_S: Final = 300.0
"""Seconds without a sign of the sweep after which an idle worker ends. Clocks of machines may differ by less."""
_SIGN_S: Final = 5.0
"""Seconds between two signs."""


class Mailbox:
    """Of one worker. The sweep writes jobs and reads the rest; the worker the other way round.

    A file is whole or not there. `SWEEP` beside the boxes is touched by the sweep as long as it lives, and removed when
    it ends. A sweep that was killed is silent: its workers end what they are at, and then themselves.
    """

    SWEEP: Final = "sweep"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signed = 0.0

    # The sweep's side.

    def open(self) -> None:
        """Make the box."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.sign()

    def sign(self) -> None:
        """Tell the workers that the sweep lives."""
        if time.monotonic() - self._signed > _SIGN_S:
            self._sweep.touch()
            self._signed = time.monotonic()

    def send(self, number: int, job: Job) -> None:
        """Put a job into the box; numbers count up."""
        content = {"config": job.config.values(), "identity": job.identity, "title": job.title}
        _write(self._folder / f"{number}.job", content)

    def outcome(self, number: int, job: Job) -> Outcome | None:
        """What came of a job; None so far."""
        content = _read(self._folder / f"{number}.outcome")
        return None if content is None else Outcome(job, **content)

    @property
    def ready(self) -> bool:
        """Whether a worker has come up here."""
        return self._ready.exists()

    def silence_s(self) -> float:
        """Seconds since the worker here gave a sign, by the clock that stamps files; 0 where none has come up."""
        try:
            return self._sweep.stat().st_mtime - self._ready.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def fault(self) -> PredictorError | None:
        """Why the worker could not come up."""
        content = _read(self._folder / "fault")
        return None if content is None else PredictorError(content.pop("what"), **content)

    def not_ready(self) -> None:
        """The worker has gone; another may come up here."""
        self._ready.unlink(missing_ok=True)

    def end(self) -> None:
        """Let all workers of this sweep end now."""
        self._sweep.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the box away."""
        shutil.rmtree(self._folder, ignore_errors=True)

    # The worker's side.

    def come_up(self, fault: PredictorError | None) -> None:
        """Say that a worker is here, or why it cannot be."""
        if fault is None:
            _write(self._ready, {"process": os.getpid()})
        else:
            _write(self._folder / "fault", {name: getattr(fault, name) for name in ("what", "where", "rule", "fix")})

    def next_job(self) -> tuple[int, Job] | None:
        """The oldest job without an outcome, waited for; None when the sweep has ended or is silent for long."""
        while True:
            numbers = sorted(int(path.stem) for path in self._folder.glob("*.job"))
            for number in numbers:
                if not (self._folder / f"{number}.outcome").exists():
                    content = _read(self._folder / f"{number}.job") or {}
                    return number, Job(
                        from_values(FinetuneConfig, content["config"]), content["identity"], content["title"]
                    )
            try:
                silent = time.time() - self._sweep.stat().st_mtime > _SILENCE_S
            except FileNotFoundError:
                return None
            if silent:
                return None
            self.live()
            time.sleep(_POLL_S)

    def live(self) -> None:
        """Tell the sweep that the worker lives."""
        if time.monotonic() - self._signed > _SIGN_S:
            with contextlib.suppress(FileNotFoundError):  # the sweep has taken the box away
                os.utime(self._ready)
            self._signed = time.monotonic()

    def ended(self) -> bool:
        """Whether the sweep has said that it ends; a sign of life by the way."""
        self.live()
        return not self._sweep.exists()

    def answer(self, number: int, outcome: Outcome) -> None:
        """Say what came of a job."""
        told = {each.name: getattr(outcome, each.name) for each in dataclasses.fields(outcome) if each.name != "job"}
        _write(self._folder / f"{number}.outcome", told)

    @property
    def _ready(self) -> Path:
        return self._folder / "ready"

    @property
    def _sweep(self) -> Path:
        return self._folder.parent / self.SWEEP


def _write(path: Path, content: Any) -> None:
    with whole_file(path) as stream:
        json.dump(content, stream)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
