"""Rows that are not trained on are counted, named and kept; the features describe those that are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from benchmarks.tiny import qa_rows, write_squad
from predictor.errors import DataError
from predictor.flows.finetune import finetune
from predictor.flows.probe import probe_dataset
from predictor.schema import RunRecord, keys
from predictor.tracking import read_records
from predictor.trial.config import FinetuneConfig, finetune_config
from predictor.trial.identity import identity
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")


class Heard:
    """A progress that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, name: str, total: int = 0) -> None: ...

    def advance(self, steps: int = 1, **values: float | str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path, store: str) -> FinetuneConfig:
    return small_config(tiny_base, tmp_path, max_steps=2, probe_steps=2, tiers="static")


def _kept(record: RunRecord, name: str, folder: Path) -> list[dict[str, Any]]:
    saved = MlflowClient().download_artifacts(record.run_id, f"{name}_rejected.jsonl", str(folder))
    return [json.loads(line) for line in Path(saved).read_text().splitlines()]


def _unanswerable(path: Path, *numbers: int) -> None:
    document = json.loads(path.read_text())
    for number in numbers:
        document["data"][0]["paragraphs"][number]["qas"][0] |= {"answers": [], "is_impossible": True}
    path.write_text(json.dumps(document))


def test_rows_that_the_task_cannot_use_are_counted_by_reason_and_kept(config: FinetuneConfig, tmp_path: Path):
    _unanswerable(Path(config.data.dataset), 0, 5, 9)
    _unanswerable(Path(config.evaluation.eval_dataset), 1)
    heard = Heard()
    record = probe_dataset(config, heard)
    [train_note] = [note for note in heard.notes if "train.json" in note]
    assert "3 of 48 rows cannot be used for the task 'qa' (3: lacks answer), kept in the artifacts" in train_note
    assert any("eval.json: 1 of 40 rows cannot be used" in note for note in heard.notes)
    rejected = _kept(record, "train", tmp_path)
    assert [row["code"] for row in rejected] == ["not_for_task"] * 3
    assert [(row["row"], row["found"]) for row in rejected] == [(f"id q{n}", "lacks answer") for n in (0, 5, 9)]
    assert rejected[0]["content"]["question"] == "Where does Ada live?"
    assert len(_kept(record, "eval", tmp_path)) == 1
    inputs = {i.tags[0].value: i.dataset for i in MlflowClient().get_run(record.run_id).inputs.dataset_inputs}
    assert json.loads(inputs["training"].profile) == {"rows": 48, "refused": 3, "used": 45}


def test_a_chat_file_of_which_the_task_can_use_nothing(config: FinetuneConfig, tmp_path: Path):
    chat = [{"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]}] * 30
    (tmp_path / "chat.jsonl").write_text("\n".join(json.dumps(row) for row in chat))
    with pytest.raises(
        DataError, match=r"no row can be used for the task 'qa' \(30 rows: lacks context and question\)"
    ):
        probe_dataset(config.replace(dataset=str(tmp_path / "chat.jsonl")))


@pytest.fixture
def long(config: FinetuneConfig, tmp_path: Path) -> FinetuneConfig:
    """Six of 48 rows have a passage that goes on and on."""
    rows = qa_rows(48)
    for number in range(0, 48, 8):
        context, question, answer = rows[number]
        rows[number] = (context + " And then it rained." * 20, question, answer)
    return config.replace(dataset=str(write_squad(tmp_path / "long.json", rows)), max_length=96)


def test_rows_over_max_length_are_counted_and_kept(long: FinetuneConfig, tmp_path: Path):
    heard = Heard()
    record = finetune(long, heard)
    assert any("6 of 48 rows exceed max_length=96 tokens" in note for note in heard.notes)
    rejected = _kept(record, "train", tmp_path)
    assert [(row["code"], row["row"]) for row in rejected] == [("over_max_length", f"id q{n}") for n in range(0, 48, 8)]
    assert int(rejected[0]["found"]) > 96


@pytest.mark.parametrize("tiers", ["static", "static,embed", "static,embed,forward"])
def test_the_features_of_a_fine_tune_describe_the_rows_that_it_trains_on(
    long: FinetuneConfig, tmp_path: Path, tiers: str
):
    short = [row for i, row in enumerate(qa_rows(48)) if i % 8]
    alone = long.replace(dataset=str(write_squad(tmp_path / "short.json", short)), tiers=tiers)
    heard = Heard()
    described = finetune(long.replace(tiers=tiers), heard).probe
    assert described["dataset_size"] == 42
    assert repr(described) == repr(finetune(alone).probe)
    assert not any("the features describe all" in note for note in heard.notes)


def test_a_probe_with_a_base_model_describes_the_rows_that_are_trained_on(long: FinetuneConfig):
    assert probe_dataset(long.replace(tiers="static,forward")).probe["dataset_size"] == 42


def test_a_probe_without_a_base_model_describes_all_rows_and_says_so(long: FinetuneConfig):
    heard = Heard()
    record = probe_dataset(long.replace(base_model="./absent"), heard)
    assert record.probe["dataset_size"] == 48
    assert any("the features describe all 48 rows" in note for note in heard.notes)


@pytest.fixture
def leaking(config: FinetuneConfig, tmp_path: Path) -> FinetuneConfig:
    """Four training rows are scored or development questions, one of them in capital letters."""
    questions = [
        (c.upper(), q, a.upper()) if n == 0 else (c, q, a) for n, (c, q, a) in enumerate(qa_rows(40, start=100))
    ]
    config = config.replace(eval_limit=0, dev_limit=8)
    return config.replace(dataset=str(write_squad(tmp_path / "leak.json", [*qa_rows(44), *questions[:4]])))


def test_training_rows_that_are_evaluation_rows_are_said_aloud_and_counted(leaking: FinetuneConfig):
    heard = Heard()
    record = probe_dataset(leaking, heard)
    assert any("WARNING: 4 of 48 training rows are also questions of the evaluation" in note for note in heard.notes)
    assert MlflowClient().get_run(record.run_id).data.tags[keys.TAG_LEAK] == "4"


def test_no_leak_is_no_word_and_a_tag_of_nought(config: FinetuneConfig):
    heard = Heard()
    record = probe_dataset(config.replace(leak="refuse"), heard)
    assert not any("WARNING" in note for note in heard.notes)
    assert MlflowClient().get_run(record.run_id).data.tags[keys.TAG_LEAK] == "0"


def test_a_leak_can_be_refused(leaking: FinetuneConfig):
    with pytest.raises(DataError, match=r"4 of 48 training rows are also questions[\s\S]*leak=refuse[\s\S]*leak=note"):
        probe_dataset(leaking.replace(leak="refuse"), experiment="e")
    [record] = read_records(["e"], kind=keys.KIND_PROBE)
    assert (record.status, record.complete) == ("FAILED", False)
    assert MlflowClient().get_run(record.run_id).data.tags[keys.TAG_LEAK] == "4"


def test_whether_a_leak_is_refused_changes_no_identity(leaking: FinetuneConfig):
    digests = [identity(each, "d", "e", "m") for each in (leaking, leaking.replace(leak="refuse"))]
    assert digests[0] == digests[1]


def test_the_embedded_datasets_do_not_leak():
    from predictor.trial.materials import gather

    assert gather(finetune_config(dataset="lab:size:dial=512:seed=1")).leaked == 0
