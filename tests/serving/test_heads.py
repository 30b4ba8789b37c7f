"""Classifiers answer files as their runs did, and are merged with their heads into what plain transformers loads."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from benchmarks.tiny import labelled_rows, write_encoder, write_labelled
from entrypoints import chat
from predictor.errors import ConfigError, DataError, ModelError
from predictor.finetune.origin import FILE
from predictor.flows.finetune import finetune
from predictor.flows.generate import GenerateConfig, generate
from predictor.flows.merge import MergeConfig, merge
from predictor.models import reading
from predictor.models.classifier import read_saved
from predictor.progress import SILENT
from predictor.serving import answering
from predictor.serving.conversation import ChatConfig
from predictor.serving.opening import open_model, weights_of_folder, weights_of_run
from predictor.serving.rows import classification_of, read_texts
from predictor.tasks.classification import Classification
from predictor.tracking.tuned import fetch_tuned
from predictor.trial.config import finetune_config
from tests.conftest import open_store

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS: dict[str, dict[str, Any]] = {
    "encoder lora": {"method": "lora", "head": "linear"},
    "encoder full": {"method": "full", "learning_rate": 1e-3},
    "decoder lora": {"method": "lora", "max_length": 220},
    "decoder qlora": {"method": "qlora", "head": "linear", "quantization": "nf4"},
}
LONG = "Rome " * 200


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs and of their data: labels are numbers that label_names names."""
    folder = tmp_path_factory.mktemp("heads")
    for name, count, start in (("train", 48, 0), ("dev", 8, 100), ("test", 21, 200)):
        rows = [(text, str(int(label == "town"))) for text, label in labelled_rows(count, start)]
        rows += [(LONG + "at the end", "1")] * (name == "test")
        (folder / "set").mkdir(exist_ok=True)
        write_labelled(folder / "set" / f"{name}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def runs(empty_store: Path, place: Path, tiny_base: Path) -> Iterator[dict[str, str]]:
    """A short fine-tune of each kind: kind → run."""
    encoder = write_encoder(place / "encoder")
    with pytest.MonkeyPatch.context() as monkeypatch:
        open_store(empty_store, place, monkeypatch)
        made = {}
        for kind, more in KINDS.items():
            base = encoder if kind.startswith("encoder") else tiny_base
            values = {"learning_rate": 5e-3, "epochs": 2, "tiers": "static", "label_names": "name,town", **more}
            made[kind] = finetune(
                finetune_config(task="classification", dataset=str(place / "set"), base_model=str(base), **values)
            ).run_id
        yield made


def recorded(run: str) -> dict[str, list[Any]]:
    """The predictions of a run, by column."""
    table = json.loads(Path(MlflowClient().download_artifacts(run, "predictions.json")).read_text())
    return {name: [row[place] for row in table["data"]] for place, name in enumerate(table["columns"])}


def answers(model: str, source: Path, output: Path, **more: Any) -> list[dict[str, Any]]:
    generate(GenerateConfig(model=model, input=str(source), output=str(output), **more))
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_that_the_run_recorded_whatever_the_batch(
    runs: dict[str, str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    test, run = place / "set" / "test.jsonl", runs[kind]
    known = recorded(run)
    by_run = answers(run, test, tmp_path / "run.jsonl")
    assert [row["text"] for row in by_run] == known["text"]
    assert list(by_run[0]) == ["id", "text", "label", "answer", "p(name)", "p(town)", "cut"]
    for column in ("label", "answer"):
        assert [row[column] for row in by_run] == known[column], "labels go by the names that the run gave them"
    assert [row["p(town)"] for row in by_run] == pytest.approx(known["p(town)"], abs=1e-6)
    assert [row["cut"] for row in by_run] == [False] * 21 + [kind != "decoder qlora"]
    real = reading.class_probabilities
    monkeypatch.setattr(
        "predictor.serving.classifying.class_probabilities", lambda *a, **k: real(*a, batch_tokens=1, **k)
    )
    alone = answers(str(fetch_tuned(run).folder), test, tmp_path / "folder.jsonl")
    assert [row["answer"] for row in alone] == known["answer"]
    assert [row["p(town)"] for row in alone] == pytest.approx(known["p(town)"], abs=1e-6)


def test_accuracy_is_told_where_every_row_has_a_label(
    runs: dict[str, str], place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from entrypoints.generate import run

    test = place / "set" / "test.jsonl"
    config = GenerateConfig(model=runs["encoder lora"], input=str(test), output=str(tmp_path / "out.csv"))
    run(config, SILENT)
    accuracy = np.mean(recorded(runs["encoder lora"])["accuracy"])
    assert f"accuracy  {accuracy:.4f} over 22 rows" in capsys.readouterr().out
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["label"] == "town"
    # One row without a label: it has no accuracy, and is answered.
    (tmp_path / "some.jsonl").write_text(test.read_text() + '{"text": "Oslo again", "label": null}\n')
    answered = generate(
        GenerateConfig(model=runs["encoder lora"], input=str(tmp_path / "some.jsonl"), output=str(tmp_path / "b.csv"))
    )
    assert (answered.rows, answered.figures) == (23, {})
    # A label that is no class of the model.
    (tmp_path / "other.jsonl").write_text('{"text": "Oslo", "label": "river"}\n')
    heard: list[str] = []
    answered = generate(
        GenerateConfig(
            model=runs["encoder lora"], input=str(tmp_path / "other.jsonl"), output=str(tmp_path / "c.jsonl")
        ),
        _Notes(heard),
    )
    assert answered.figures == {"accuracy": 0.0}
    assert any("1 of 1 labels ('river') are no class of the model (name, town)" in note for note in heard)


class _Notes:
    def __init__(self, heard: list[str]) -> None:
        self.note = heard.append

    def stage(self, name: str, total: int = 0) -> None: ...

    def advance(self, steps: int = 1, **values: object) -> None: ...


def test_rows_of_every_form_are_answered_in_order_or_refused_by_name(runs: dict[str, str], tmp_path: Path):
    lines = [
        json.dumps({"sentence": "Rome Rome", "id": "a"}),
        json.dumps({"sentence": "  "}),
        json.dumps("Oslo alone"),
        "{broken",
        json.dumps({"other": 1}),
        json.dumps({"sentence": "Ada", "label": [1]}),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    rows = answers(runs["encoder lora"], tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert [(row["id"], row["text"]) for row in rows] == [("a", "Rome Rome"), ("4", "Ada")]
    refused = [json.loads(line) for line in (tmp_path / "out_rejected.jsonl").read_text().splitlines()]
    assert [row["code"] for row in refused] == ["empty_prompt", "not_an_object", "bad_json", "missing_field"]


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.txt", "Rome\nOslo\n", ["Rome", "Oslo"]),
        ("a.csv", "review,stars\nRome,1\nOslo,\n", ["Rome", "Oslo"]),
        ("b.json", '["Rome", "Oslo"]', ["Rome", "Oslo"]),
        ("a.json", '[{"premise": "Rome", "hypothesis": "Oslo"}]', ["Rome\nOslo"]),
        ("a.jsonl", '{"prompt": "Rome"}\n{"messages": [{"role": "user", "content": "Oslo"}]}\n', ["Rome", "Oslo"]),
        (
            "b.jsonl",
            '{"context": "Rome", "question": "Where?", "answers": ["Rome"]}\n',
            ["Context: Rome\nQuestion: Where?"],
        ),
    ],
)
def test_texts_are_found_in_many_forms(tmp_path: Path, name: str, content: str, texts: list[str]):
    (tmp_path / name).write_text(content)
    found = read_texts(str(tmp_path / name), Classification())
    assert [row.shown for row in found] == texts


def test_columns_can_be_named_and_what_cannot_be_read_is_said(runs: dict[str, str], tmp_path: Path):
    (tmp_path / "in.csv").write_text("alpha,beta\nRome,name\nOslo,town\n")
    task = Classification()
    rows = read_texts(str(tmp_path / "in.csv"), task, columns=("alpha", "beta"))
    assert [(row.shown, row.label) for row in rows] == [("Rome", "name"), ("Oslo", "town")]
    with pytest.raises(DataError, match=r"text column"):
        read_texts(str(tmp_path / "in.csv"), task)
    with pytest.raises(DataError, match=r"needs the columns gamma"):
        read_texts(str(tmp_path / "in.csv"), task, columns=("gamma", ""))
    with pytest.raises(ConfigError, match="label_column is named, and text_column is not"):
        read_texts(str(tmp_path / "in.csv"), task, columns=("", "beta"))
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(DataError, match=r"none of the 1 rows holds a text; first line 1, field 'text': empty_prompt"):
        read_texts(str(tmp_path / "empty.jsonl"), task)
    config = {"model": runs["encoder lora"], "input": str(tmp_path / "in.csv"), "output": str(tmp_path / "out.jsonl")}
    with pytest.raises(ConfigError, match=r"is a classifier, which task=qa cannot put rows to"):
        generate(GenerateConfig(**config, task="qa"))
    with pytest.raises(ConfigError, match=r"is a classifier, and draws nothing"):
        generate(GenerateConfig(**config, temperature=1.0))
    with pytest.raises(ConfigError, match=r"is no classifier: text_column and label_column are not read"):
        generate(GenerateConfig(**{**config, "model": "lab"}, text_column="alpha"))


def test_after_a_break_only_the_rest_is_classified(
    runs: dict[str, str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    test, asked = place / "set" / "test.jsonl", []
    whole = answers(runs["encoder lora"], test, tmp_path / "whole.jsonl")
    real, add = reading.class_probabilities, answering.Part.add

    def counted(model: Any, tokenizer: Any, rows: Any, **more: Any) -> Any:
        asked.append(len(rows))
        return real(model, tokenizer, rows, batch_tokens=64, **more)

    def cut(self: answering.Part, said: Any) -> None:
        add(self, said)
        raise KeyboardInterrupt

    monkeypatch.setattr("predictor.serving.classifying.class_probabilities", counted)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(answering.Part, "add", cut)
        answers(runs["encoder lora"], test, tmp_path / "out.jsonl")
    again = answers(runs["encoder lora"], test, tmp_path / "out.jsonl")
    assert 0 < asked[1] < asked[0] == 22
    assert [row["answer"] for row in again] == [row["answer"] for row in whole]
    assert not (tmp_path / ".out.jsonl.answers").exists()


def test_classifiers_are_compared_with_classifiers(runs: dict[str, str], place: Path, tmp_path: Path):
    test, pair = place / "set" / "test.jsonl", [runs["encoder lora"], runs["decoder lora"]]
    rows = answers("", test, tmp_path / "out.jsonl", compare=",".join(pair))
    assert list(rows[0]) == ["id", "text", "label", *(f"answer of {run}" for run in pair), "same"]
    for run in pair:
        assert [row[f"answer of {run}"] for row in rows] == recorded(run)["answer"]
    for mixed in (f"{pair[0]},lab", f"lab,{pair[0]}"):
        with pytest.raises(ModelError, match="models that are compared all write answers, or are all classifiers"):
            answers("", test, tmp_path / "no.jsonl", compare=mixed, limit=2, max_new_tokens=2)


def test_a_conversation_with_a_classifier_is_refused_and_names_generate(runs: dict[str, str]):
    with pytest.raises(ModelError, match=r"is a classifier: it says the class of a text[\s\S]*-e generate -P model="):
        chat.run(ChatConfig(model=runs["encoder lora"]), SILENT)


@pytest.mark.parametrize("kind", ["encoder lora", "decoder qlora", "decoder lora", "encoder full"])
def test_a_merged_classifier_says_what_the_tuned_one_said(runs: dict[str, str], place: Path, tmp_path: Path, kind: str):
    folder, linear = tmp_path / "merged", KINDS[kind].get("head") == "linear"
    outcome = merge(MergeConfig(run_id=runs[kind], output=str(folder)))
    told = json.loads((folder / "parity.json").read_text())
    assert told["written"]["equal_labels"] == 1.0
    assert told["written"]["max_logit_difference"] == outcome.merged.written.max_logit_difference < 1e-3
    assert told["written"]["texts"] == 22
    assert told["classifier"]["head"] == ("linear" if linear else "mlp")
    assert MlflowClient().get_run(outcome.run_id).data.metrics["merge/written_equal_labels"] == 1.0
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "22 real texts" in card
    assert ("AutoModelForSequenceClassification.from_pretrained(FOLDER)" in card) == linear
    assert ("MLP, which plain transformers does not know" in card) != linear
    # The folder answers as the run did, labels and lengths included.
    known = recorded(runs[kind])
    rows = answers(str(folder), place / "set" / "test.jsonl", tmp_path / "out.jsonl")
    assert [row["answer"] for row in rows] == known["answer"]
    assert [row["label"] for row in rows] == known["label"]
    assert [row["p(town)"] for row in rows] == pytest.approx(known["p(town)"], abs=1e-4)
    if linear:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        assert told["auto_tokenizer"]
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert list(model.config.id2label.values()) == ["name", "town"]
        assert not hasattr(model.config, "quantization_config")
        template = read_saved(folder).template or "{text}"
        put = [template.replace("{class_labels}", "name,town").replace("{text}", text) for text in known["text"][:8]]
        with torch.inference_mode():
            read = tokenizer(put, return_tensors="pt", padding=True)
            read.pop("token_type_ids", None)
            plain = model(**read).logits.softmax(-1)[:, 1]
        assert plain.tolist() == pytest.approx(known["p(town)"][:8], abs=1e-4)


def test_a_classifier_merged_above_the_limit_or_without_texts_fails(
    runs: dict[str, str], place: Path, tmp_path: Path, tiny_base: Path
):
    output, run = str(tmp_path / "merged"), runs["encoder lora"]
    with pytest.raises(ModelError, match=r"does not answer as the tuned one: logits differ by up to"):
        merge(MergeConfig(run_id=run, output=output, max_difference=0.0))
    with pytest.raises(ModelError, match="is not the base model that the adapter was trained on"):
        merge(MergeConfig(run_id=runs["decoder lora"], output=output, base_model="lab"))
    with pytest.raises(ModelError, match="classifiers cannot be weighted"):
        merge(MergeConfig(run_id=f"{run},{runs['decoder lora']}", output=output))
    with pytest.raises(ConfigError, match="a classifier cannot be registered as a chat model"):
        merge(MergeConfig(run_id=run, output=output, register="x"))
    adapter = str(fetch_tuned(run).folder)
    with pytest.raises(ConfigError, match="no texts are known on which the merged classifier could be compared"):
        merge(MergeConfig(adapter=adapter, output=output))
    assert not Path(output).exists()
    merge(MergeConfig(adapter=adapter, output=output, prompts=str(place / "set" / "dev.jsonl"), dtype="bfloat16"))
    told = json.loads(Path(output, "parity.json").read_text())
    assert told["merge"]["texts"] == 8
    assert told["merge"]["max_logit_difference"] < 1e-3 < told["written"]["max_logit_difference"]


def test_what_an_earlier_version_kept_of_a_classifier_is_enough(runs: dict[str, str], tmp_path: Path):
    """Neither the length of texts nor the classes stood beside the weights; the run knows what the data called them."""
    run = runs["encoder lora"]
    folder = Path(shutil.copytree(fetch_tuned(run).folder, tmp_path / "adapter"))
    origin = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**origin, "task_settings": {}, "task_found": {}}))
    settings = json.loads((folder / "classifier.json").read_text())
    assert settings.pop("max_length") == 64, "as many as this encoder has places"
    (folder / "classifier.json").write_text(json.dumps(settings))
    weights = weights_of_folder(folder)
    assert classification_of(weights).labels == ("name", "town")
    assert read_saved(folder).max_length == 512
    opened = open_model(str(folder), fetch_tuned, heads=True)
    assert opened.classifier is not None
    assert opened.classifier.max_length == 64
    known = weights_of_run(run, fetch_tuned)
    stripped = weights.__class__(folder, weights.origin, True, run, known.config)
    assert classification_of(stripped).names == {"0": "name", "1": "town"}


def test_a_decoder_that_writes_the_label_is_asked_as_in_its_training(
    runs: dict[str, str], place: Path, tmp_path: Path, tiny_base: Path
):
    config = finetune_config(
        task="classification", method="sft", dataset=str(place / "set"), base_model=str(tiny_base), epochs=1,
        tiers="static", label_names="name,town", eval_limit=6, dev_limit=4,
    )  # fmt: skip
    run = finetune(config).run_id
    known = recorded(run)
    write_labelled(tmp_path / "in.jsonl", [(text, "0") for text in known["text"]])
    generate(
        GenerateConfig(
            model=run, input=str(tmp_path / "in.jsonl"), output=str(tmp_path / "out.jsonl"), max_new_tokens=16
        )
    )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["answer"] for row in rows] == known["answer"]
    assert rows[0]["reference"] == "name"
    assert "categories it belongs to:name,town,answer:" in rows[0]["prompt"]
