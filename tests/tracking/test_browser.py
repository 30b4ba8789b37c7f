"""The MLflow UI in a browser, where Chromium is installed: what a person sees who opens the printed address."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from predictor.schema import encode, keys
from predictor.tracking import face, tracked_run
from tests.tracking.test_face import RECORD

_PATIENCE_MS = 15_000
"""Of the page's own clock, which a browser without a screen runs ahead of time while nothing happens."""


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is not installed")


def _seen(chromium: str, address: str, profile: Path) -> str:
    """The text of the page after its scripts have run."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    # Columns beyond the edge of the window are no part of the page.
    command += [f"--user-data-dir={profile}", "--window-size=2400,900"]
    command += [f"--virtual-time-budget={_PATIENCE_MS}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    text = re.sub(r"<(style|script)\b.*?</\1>", " ", done.stdout, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "\n", text)))


def test_the_printed_address_opens_model_training_and_lists_the_fine_tunes(
    chromium: str, server_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server_uri)
    face._done.clear()
    names = [f"readable name {number}" for number in range(3)]
    with tracked_run(keys.KIND_QUICKSTART, experiment="browser", run_name="the quickstart"):
        for seed, name in enumerate(names):
            with tracked_run(keys.KIND_FINETUNE, run_name=name, params=encode(RECORD).params) as run:
                run.finish_record(dataclasses.replace(RECORD, seed=seed))
        with tracked_run(keys.KIND_PROBE, run_name="a mere probe"):
            pass
    [line] = face.where_to_look(run.run_id)
    text = _seen(chromium, line.split(": ", 1)[1], tmp_path / "profile")
    assert "3 matching runs" in text, text
    assert all(name in text for name in names)
    assert "a mere probe" not in text
    assert "You're viewing a shared view" in text
    assert "Fine-tunes compared" in text
    for column in ("hp/learning_rate", "probe/early_exact_match", "score/exact_match", "score/f1", "cost/total_s"):
        assert column in text
    assert "Model registry" in text  # in the sidebar of model training; GenAI's has traces and judges
    assert "Judges" not in text
