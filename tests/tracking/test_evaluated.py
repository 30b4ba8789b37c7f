"""What an evaluation writes on a fine-tune that has ended."""

from __future__ import annotations

import dataclasses

from mlflow import MlflowClient

from predictor.schema import keys
from predictor.tracking import read_record, tracked_run
from predictor.tracking.evaluated import write_back
from predictor.tracking.face import NOTE_TAG
from tests.tracking.test_face import RECORD


def test_scores_are_added_and_whoever_keeps_copies_reads_anew(store: str):
    with tracked_run(keys.KIND_FINETUNE, experiment="e") as run:
        run.finish_record(dataclasses.replace(RECORD, complete=True))
    client = MlflowClient()
    before = client.get_run(run.run_id)
    for number, verdict in enumerate(("hold", "ship")):
        write_back(run.run_id, {"forgetting": 0.1 * number}, f"evaluation-{number}", verdict, "a rule")
    after = client.get_run(run.run_id)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time + 2)
    assert read_record(run.run_id).scores["forgetting"] == 0.1
    note = after.data.tags[NOTE_TAG]
    assert note.startswith(before.data.tags[NOTE_TAG])
    assert note.count("**Evaluation:**") == 1
    assert "ship: a rule" in note
    assert "evaluation-1/artifacts/report.html" in note
    assert after.data.tags[keys.TAG_EVALUATED] == "evaluation-1"
