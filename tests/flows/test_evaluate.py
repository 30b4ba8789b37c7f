"""The evaluation of fine-tunes of a tiny model in a real store, and what is wrong with what is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.tiny import qa_rows, write_base, write_squad
from predictor.config import from_values
from predictor.errors import ConfigError, DataError, ModelError, TrackingError
from predictor.evaluation.originals import read_originals
from predictor.evaluation.pair import load_pair
from predictor.flows.evaluate import EvaluateConfig, EvaluateResult, evaluate
from predictor.flows.finetune import finetune
from predictor.models import shelf
from predictor.models.base_model import load_base_model
from predictor.models.device import detect
from predictor.schema import RunRecord, keys
from predictor.table import build
from predictor.tracking import read_record, read_records
from predictor.trial.config import FinetuneConfig
from tests.conftest import open_store
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A working folder with a store, rows of original tasks and facts to choose among."""
    place = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        open_store(empty_store, place, patch)
        write_squad(place / "other.json", qa_rows(12, start=300))
        facts = [f'"Where does {c.split()[0]} live?",{a},Mars,Venus,{"ABC"[0]}' for c, _, a in qa_rows(9)]
        (place / "places.csv").write_text("\n".join(facts) + "\n")
        (place / "plain.txt").write_text("Ada lives in Rome.\n\nBela lives in Oslo.\n\nCleo sees Lima.\n")
        yield place


@pytest.fixture(scope="module")
def tuned(folder: Path, tiny_base: Path) -> tuple[FinetuneConfig, RunRecord]:
    config = small_config(tiny_base, folder, epochs=4.0, tiers="static", lora_dropout=0.0, learning_rate=3e-2)
    return config, finetune(config, experiment="e")


def asked(folder: Path, **values: object) -> EvaluateConfig:
    usual = {
        "original": f"qa:{folder}/other.json,text:{folder}/plain.txt,chat:{folder}/other.json",
        "knowledge": str(folder / "places.csv"),
        "train_questions": 8,
        "generations": 2,
    }
    return from_values(EvaluateConfig, {**usual, **values})


@pytest.fixture(scope="module")
def done(folder: Path, tuned: tuple[FinetuneConfig, RunRecord]) -> EvaluateResult:
    return evaluate(asked(folder, run_id=tuned[1].run_id))


def test_an_evaluation_is_a_run_of_its_own_beside_its_fine_tune(tuned, done: EvaluateResult):
    client = MlflowClient()
    run, fine = client.get_run(done.run_id), client.get_run(tuned[1].run_id)
    [result] = done.evaluated
    assert run.info.experiment_id == fine.info.experiment_id
    assert run.data.tags[keys.TAG_KIND] == "evaluation"
    assert run.data.tags[keys.TAG_EVALUATES] == tuned[1].run_id == run.data.tags["mlflow.parentRunId"]
    assert run.data.tags["evaluation.verdict"] == fine.data.tags["evaluation.verdict"] == result.verdict
    assert fine.data.tags[keys.TAG_EVALUATED] == done.run_id
    assert f"{done.run_id}/artifacts/report.html" in fine.data.tags["mlflow.note.content"]
    for name in ("task/base/exact_match", "task/tuned/exact_match", "original/qa-other/delta", "original/knowledge/p",
                 "forgetting", "overfitting/gap", "overfitting/score_gap", "shift/kl_task", "noise/repeat",
                 "task/won", "original/text-plain/bits_per_byte_base", "original/chat-other/rouge_l_base"):  # fmt: skip
        assert f"evaluation/{name}" in run.data.metrics, name
    assert run.data.metrics["evaluation/noise/repeat"] < 1e-4
    assert run.data.metrics["evaluation/shift/kl_task"] > 0
    assert run.data.metrics["evaluation/task/tuned/exact_match"] == pytest.approx(tuned[1].scores["exact_match"])


def test_what_a_person_finds(done: EvaluateResult, tmp_path: Path):
    client = MlflowClient()
    names = {artifact.path for artifact in client.list_artifacts(done.run_id)}
    assert names == {"report.html", "evaluation.json", "advice.json", "rows.json"}
    page = Path(client.download_artifacts(done.run_id, "report.html", str(tmp_path))).read_text()
    assert done.evaluated[0].verdict in page
    advice = json.loads(Path(client.download_artifacts(done.run_id, "advice.json", str(tmp_path))).read_text())
    assert [each["rule"] for each in advice] == [each.rule for each in done.evaluated[0].advice]
    table = json.loads(Path(client.download_artifacts(done.run_id, "rows.json", str(tmp_path))).read_text())
    assert table["columns"][0] == "change"
    assert "base answer" in table["columns"]
    assert len(table["data"]) == 20
    changes = [row[0] for row in table["data"]]
    assert changes == sorted(changes, key=("lost", "won", "same").index)
    assert changes.count("won") == done.evaluated[0].task.score.won


def test_forgetting_is_a_score_of_the_fine_tune_and_never_a_feature(tuned, done: EvaluateResult):
    record = read_record(tuned[1].run_id)
    assert record.scores["forgetting"] == pytest.approx(done.evaluated[0].forgetting)
    assert record.scores["forgetting_se"] > 0
    assert 0 <= record.scores["retention"] <= 1
    assert (record.status, record.complete) == ("FINISHED", True)
    assert record.ineligible("score/forgetting") is None
    copies = [
        RunRecord(**{**vars(record), "run_id": str(i), "dataset_fingerprint": str(i), "row_sketch": (),
                     "dataset": f"d{i}", "scores": {**record.scores, "forgetting": 0.01 * i}})
        for i in range(12)
    ]  # fmt: skip
    table = build(copies, "score/forgetting")
    assert not table.target.higher_is_better
    assert all(name.startswith(("hp/", "probe/")) for name in table.schema.names)
    assert not any("forgetting" in name or "retention" in name for name in table.schema.names)


def test_the_base_beside_itself_differs_in_nothing(folder: Path, tiny_base: Path, tuned):
    values = {"model": str(tiny_base), "base_model": str(tiny_base), "eval_dataset": tuned[0].evaluation.eval_dataset}
    [result] = evaluate(asked(folder, **values, dataset=tuned[0].data.dataset), experiment="alone").evaluated
    gains = [result.task.score.gain, *(each.score.gain for each in result.originals)]
    assert gains == pytest.approx([0.0] * len(gains), abs=1e-9)
    assert not any(each.score.significant for each in result.originals)
    assert (result.verdict, result.retention.whole.retention) == ("hold", 1.0)
    assert result.task.divergence == pytest.approx(0.0, abs=1e-9)
    assert result.overfitting.verdict == "none"


def test_the_base_is_asked_the_same_once(folder: Path, tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from predictor.models import generate as generating

    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path))
    first = evaluate(asked(folder, run_id=tuned[1].run_id)).evaluated[0]
    calls, generate = [], generating.generate
    monkeypatch.setattr(generating, "generate", lambda *a, **k: calls.append(a) or generate(*a, **k))
    kept = sorted((tmp_path / "base_answers").iterdir())
    assert len(kept) == 5  # task, training rows, the other questions, chats, facts
    again = evaluate(asked(folder, run_id=tuned[1].run_id)).evaluated[0]
    assert len(calls) == 1  # the fine-tune's own chats
    assert sorted((tmp_path / "base_answers").iterdir()) == kept
    assert again.metrics() == pytest.approx(first.metrics(), nan_ok=True)


def test_a_fine_tune_of_all_weights_and_an_evaluation_at_its_end(folder: Path, tiny_base: Path):
    (folder / "small.json").write_text(json.dumps({"original": f"text:{folder}/plain.txt", "knowledge": "none"}))
    config = small_config(tiny_base, folder, method="full", learning_rate=1e-2, tiers="static")
    shelf.forget()
    record = finetune(config.replace(evaluate=True, evaluation_config=str(folder / "small.json")), experiment="full")
    assert record.scores["forgetting"] == read_record(record.run_id).scores["forgetting"]
    assert "retention" not in record.scores
    [evaluation] = read_records(["full"], kind=keys.KIND_EVALUATION)
    assert evaluation.status == "FINISHED"


def test_what_is_wrong_with_an_evaluation_at_the_end_is_said_before_training(folder: Path, tiny_base: Path):
    config = small_config(tiny_base, folder, tiers="static")
    with pytest.raises(ConfigError, match="evaluation_config is given and evaluate is not"):
        finetune(config.replace(evaluation_config="x.json"))
    for content, family, message in (
        ({"original": "qa:absent.json"}, DataError, "absent.json"),
        ({"run_id": "x"}, ConfigError, "run_id is given for an evaluation at the end"),
    ):
        (folder / "bad.json").write_text(json.dumps(content))
        with pytest.raises(family, match=message):
            finetune(config.replace(evaluate=True, evaluation_config=str(folder / "bad.json")), experiment="never")


def test_an_evaluation_that_fails_leaves_the_fine_tune(folder: Path, tiny_base: Path, monkeypatch, capsys):
    from predictor.evaluation import whole

    def broken(*args: object, **kwargs: object) -> None:
        raise ModelError("it broke")

    monkeypatch.setattr(whole, "evaluate_pair", broken)
    (folder / "small.json").write_text(json.dumps({"original": "none", "knowledge": "none"}))
    config = small_config(tiny_base, folder, tiers="static", max_steps=1)
    config = config.replace(evaluate=True, evaluation_config=str(folder / "small.json"))
    record = finetune(config, experiment="broken")
    assert read_record(record.run_id).status == "FINISHED"
    [failed] = read_records(["broken"], kind=keys.KIND_EVALUATION)
    assert (failed.status, failed.failure) == ("FAILED", "it broke")


def test_several_fine_tunes_on_one_page(folder: Path, tuned, done: EvaluateResult, tmp_path: Path):
    both = f"{tuned[1].run_id},{done.run_id}"
    result = evaluate(from_values(EvaluateConfig, {"compare": both}), experiment="e")
    assert [each.run_id for each in result.evaluated] == [tuned[1].run_id] * 2
    page = Path(MlflowClient().download_artifacts(result.run_id, "report.html", str(tmp_path))).read_text()
    assert "Pareto" in page
    with pytest.raises(ConfigError, match="one run cannot be compared"):
        evaluate(from_values(EvaluateConfig, {"compare": tuned[1].run_id}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no fine-tune is named"),
        ({"run_id": "a", "adapter": "b"}, "run_id and adapter are both given"),
        ({"adapter": "absent"}, "the base model is not named"),
    ],
)
def test_what_must_be_named(folder: Path, values: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        evaluate(asked(folder, **values))


def test_runs_that_cannot_be_evaluated(folder: Path, tuned, done: EvaluateResult, tiny_base: Path):
    with pytest.raises(TrackingError, match="there is no run 'absent'"):
        evaluate(asked(folder, run_id="absent"))
    with pytest.raises(TrackingError, match="is no fine-tune but of kind evaluation"):
        evaluate(asked(folder, run_id=done.run_id))
    with pytest.raises(Exception, match="max_length"):
        finetune(tuned[0].replace(max_length=8), experiment="failed")
    [failed] = read_records(["failed"])
    with pytest.raises(TrackingError, match=r"has not ended well \(FAILED: max_length=8"):
        evaluate(asked(folder, run_id=failed.run_id))
    with pytest.raises(TrackingError, match="was not evaluated"):
        evaluate(from_values(EvaluateConfig, {"compare": f"{failed.run_id},{done.run_id}"}))
    other = write_base(folder / "other-base", hidden=64)
    with pytest.raises(ModelError, match="the base model is another one"):
        evaluate(asked(folder, run_id=tuned[1].run_id, base_model=str(other)))


@pytest.fixture(scope="module")
def adapter(folder: Path, tuned) -> Path:
    return Path(MlflowClient().download_artifacts(tuned[1].run_id, "adapter", str(folder)))


def test_adapters_that_do_not_fit(folder: Path, tiny_base: Path, adapter: Path, tmp_path: Path):
    base = load_base_model(str(tiny_base), detect())
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        broken = tmp_path / name.split(".")[0]
        shutil.copytree(adapter, broken)
        (broken / name).unlink()
        with pytest.raises(ModelError, match=f"the adapter lacks {name}"):
            load_pair(base, broken)
    (broken / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        load_pair(base, broken)
    (broken / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be read"):
        load_pair(base, broken)
    with pytest.raises(ModelError, match="neither an adapter nor a model"):
        load_pair(base, folder)
    with pytest.raises(ModelError, match="does not exist"):
        load_pair(base, tmp_path / "absent")
    wide = load_base_model(str(write_base(tmp_path / "wide", hidden=64)), detect())
    with pytest.raises(ModelError, match="of another base model: its files name"):
        load_pair(wide, adapter)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    moved = tmp_path / "moved"
    shutil.copytree(adapter, moved)
    (moved / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": "gone"}))
    with pytest.raises(ModelError, match="the base asks for"):
        load_pair(wide, moved)
    assert not any("lora" in name for name, _ in wide.model.named_modules())
    pair = load_pair(base, moved)
    assert pair.is_adapter
    pair.tuned.unload()


def test_an_adapter_alone_is_compared_on_the_original_tasks(folder: Path, adapter: Path):
    [result] = evaluate(asked(folder, adapter=str(adapter)), experiment="alone").evaluated
    assert result.task is None
    assert result.verdict == "hold"
    assert "name its evaluation data" in result.rule
    assert len(result.originals) == 4


def test_a_judge_marks_both_models_answers(folder: Path, tiny_base: Path, tuned, tmp_path: Path):
    few = {"original": "none", "knowledge": "none", "questions": 6, "run_id": tuned[1].run_id}
    results = [
        evaluate(from_values(EvaluateConfig, {**few, "judge": judge}), experiment="judged")
        for judge in (str(tiny_base), tuned[1].run_id)
    ]
    same_as_base, by_itself = (result.evaluated[0].task for result in results)
    assert same_as_base.scores["judged"].n == 6
    assert same_as_base.scores["judged"].base != pytest.approx(by_itself.scores["judged"].base)
    run = MlflowClient().get_run(results[0].run_id)
    assert run.data.params["evaluation/judge"] == str(tiny_base)
    assert run.data.metrics["evaluation/task/tuned/judged"] == pytest.approx(same_as_base.scores["judged"].tuned)
    assert run.data.metrics["evaluation/judge/sense"] == same_as_base.sense
    table = json.loads(
        Path(MlflowClient().download_artifacts(results[0].run_id, "rows.json", str(tmp_path))).read_text()
    )
    assert "judged" in table["columns"]
    assert "marks a right answer above" in results[0].evaluated[0].notes[0]
    alone = evaluate(from_values(EvaluateConfig, few), experiment="judged").evaluated[0]
    assert "judged" not in alone.task.scores
    assert alone.verdict == results[0].evaluated[0].verdict


def test_a_judge_without_a_task_says_so(folder: Path, adapter: Path, tiny_base: Path):
    found = evaluate(asked(folder, adapter=str(adapter), judge=str(tiny_base)), experiment="alone").evaluated[0]
    assert found.notes[-1] == "the judge had nothing to mark: no question of the task was asked"


def test_a_judge_that_is_none_is_told_before_anything_is_measured(folder: Path, tuned):
    with pytest.raises(ModelError, match="absent"):
        evaluate(asked(folder, run_id=tuned[1].run_id, judge="./absent"))
    with pytest.raises(ConfigError, match="judge_prompt is given and judge is not"):
        evaluate(asked(folder, run_id=tuned[1].run_id, judge_prompt="{answer}"))
    with pytest.raises(ConfigError, match="the prompt names nothing"):
        evaluate(asked(folder, run_id=tuned[1].run_id, judge="lab", judge_prompt="How good?"))


def test_what_is_replayed_is_no_test_of_what_was_kept(folder: Path):
    rows = asked(folder).comparison
    from predictor.data import load
    from predictor.evaluation.settings import ENGLISH

    with pytest.raises(DataError, match="every row of the original task"):
        read_originals(rows, ENGLISH, str, load(str(folder / "other.json")).examples)


def test_the_notebook_runs_from_its_first_cell_to_its_last(done: EvaluateResult, monkeypatch: pytest.MonkeyPatch):
    import matplotlib

    matplotlib.use("Agg")
    notebook = json.loads((Path(__file__).parents[2] / "docs" / "analysis.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(names["table"]) == len(names["evaluated"]) >= 1
    assert done.evaluated[0].title in set(names["table"]["fine-tune"])
