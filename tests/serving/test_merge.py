"""Merged models say what the tuned ones said, and whatever would make them say something else is caught."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from predictor.errors import ConfigError, DataError, ModelError, TrackingError
from predictor.finetune.origin import FILE, Origin, read_origin
from predictor.flows.finetune import finetune
from predictor.flows.merge import MergeConfig, merge
from predictor.lab import base_model_path
from predictor.models.base_model import load_base_model
from predictor.models.device import Device
from predictor.models.generate import generate
from predictor.models.render import render_turns
from predictor.serving.merge import Limits, _keep_limits, combination_of
from predictor.serving.opening import Weights, open_model, weights_of_folder
from predictor.serving.parity import Parity
from predictor.serving.questions import questions_for
from predictor.tracking import read_records
from predictor.tracking.tuned import fetch_tuned
from tests.conftest import open_store
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
METHODS = {"lora": {}, "qlora": {"quantization": "nf4"}, "full": {"learning_rate": 1e-3}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the embedded base, whose files a test may change."""
    return Path(shutil.copytree(base_model_path(), tmp_path_factory.mktemp("base") / "lab"))


@pytest.fixture(scope="module")
def runs(empty_store: Path, tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[dict[str, str]]:
    """A short fine-tune by each method: method → run."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        open_store(empty_store, folder, monkeypatch)
        made = {}
        for method, more in METHODS.items():
            values = {"tiers": "static", "epochs": 1.0, "dev_limit": 0, "method": method, **more}
            made[method] = finetune(small_config(base, folder, rows=32, **values)).run_id
        yield made


@pytest.mark.parametrize("method", METHODS)
def test_a_merged_model_says_what_the_tuned_one_said(runs: dict[str, str], tmp_path: Path, method: str):
    outcome = merge(MergeConfig(run_id=runs[method], output=str(tmp_path / "merged"), prompt_limit=12))
    parity = json.loads((tmp_path / "merged" / "parity.json").read_text())
    assert parity["written"]["equal_answers"] == 1.0
    assert parity["written"]["max_logit_difference"] == outcome.merged.parity.max_logit_difference < 1e-3
    assert parity["written"]["prompts"] == 12
    # What stands there was measured: the folder, read by itself, against the run's weights.
    tuned = open_model(runs[method], fetch_tuned, device=CPU)
    alone = load_base_model(str(tmp_path / "merged"), CPU)
    prompts = [render_turns(q.turns, alone.tokenizer) for q in questions_for(_weights(runs[method]), "", 8).questions]
    said = generate(tuned.model, tuned.base.tokenizer, prompts, max_new_tokens=6)
    assert generate(alone.model, alone.tokenizer, prompts, max_new_tokens=6) == said
    assert not hasattr(alone.model.config, "quantization_config")
    run = MlflowClient().get_run(outcome.run_id)
    assert run.data.metrics["merge/written_equal_answers"] == 1.0
    assert {a.path for a in MlflowClient().list_artifacts(outcome.run_id)} == {"parity.json", "README.md"}
    card = (tmp_path / "merged" / "README.md").read_text()
    assert runs[method] in card
    assert "PreTrainedTokenizerFast.from_pretrained" in card, "AutoTokenizer reads this base otherwise"


def _weights(run: str):
    from predictor.serving.opening import weights_of_run

    return weights_of_run(run, fetch_tuned)


def test_the_type_of_the_files_is_chosen_and_the_merge_is_judged_before_the_rounding(runs, tmp_path: Path):
    folder = tmp_path / "half"
    outcome = merge(MergeConfig(run_id=runs["lora"], output=str(folder), dtype="bfloat16", prompt_limit=6))
    assert outcome.merged.parity.max_logit_difference < 1e-3 < outcome.merged.written.max_logit_difference
    from safetensors.torch import load_file

    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_wrong_base_is_caught_and_nothing_is_written(runs, tmp_path: Path, tiny_base: Path):
    output = tmp_path / "merged"
    with pytest.raises(ModelError, match=r"is not the base model that the adapter was trained on[\s\S]*recorded"):
        merge(MergeConfig(run_id=runs["lora"], output=str(output), base_model=str(tiny_base)), experiment="wrong")
    # An adapter's folder alone knows its base too.
    adapter = fetch_tuned(runs["qlora"]).folder
    with pytest.raises(ModelError, match="is not the base model"):
        merge(MergeConfig(adapter=str(adapter), output=str(output), base_model=str(tiny_base)), experiment="wrong")
    assert list(tmp_path.iterdir()) == []
    assert {record.status for record in read_records(["wrong"], kind=None)} == {"FAILED"}


def test_an_adapter_whose_origin_nobody_wrote_down(runs, tmp_path: Path, base: Path, tiny_base: Path):
    adapter = Path(shutil.copytree(fetch_tuned(runs["lora"]).folder, tmp_path / "adapter"))
    assert read_origin(adapter) == _weights(runs["lora"]).origin
    (adapter / FILE).unlink()
    heard: list[str] = []
    assert weights_of_folder(adapter).origin.base_model_digest == ""
    opened = open_model(str(adapter), fetch_tuned, _Notes(heard), base_model=str(base), device=CPU)
    assert "could not be compared" in heard[0]
    assert opened.task == ""
    with pytest.raises(ModelError, match="the adapter does not fit the base model"):
        open_model(str(adapter), fetch_tuned, base_model=str(tiny_base), device=CPU)
    content = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**content, "base_model_name_or_path": None}))
    with pytest.raises(ModelError, match="does not say which base model"):
        open_model(str(adapter), fetch_tuned, device=CPU)
    (adapter / FILE).write_text("{")
    with pytest.raises(ModelError, match=r"origin\.json cannot be read"):
        weights_of_folder(adapter)


class _Notes:
    def __init__(self, heard: list[str]) -> None:
        self.note = heard.append

    def stage(self, name: str, total: int = 0) -> None: ...

    def advance(self, steps: int = 1, **values: object) -> None: ...


def test_a_merge_above_the_limit_fails_and_leaves_what_was_there(runs, tmp_path: Path):
    output = tmp_path / "merged"
    output.mkdir()
    (output / "mine").write_text("kept")
    with pytest.raises(ModelError, match=r"the output folder is there[\s\S]*overwrite=true"):
        merge(MergeConfig(run_id=runs["lora"], output=str(output)))
    with pytest.raises(ModelError, match=r"does not answer as the tuned one: logits differ by up to"):
        merge(MergeConfig(run_id=runs["lora"], output=str(output), overwrite=True, max_difference=0.0, prompt_limit=4))
    assert [file.name for file in tmp_path.iterdir()] == ["merged"]
    assert [file.name for file in output.iterdir()] == ["mine"]


def test_several_adapters_are_weighted_by_peft(runs, tmp_path: Path):
    both = f"{runs['lora']},{runs['lora']}"
    config = MergeConfig(run_id=both, weights="0.25,0.75", combination="cat", prompt_limit=6)
    twice = merge(MergeConfig(**{**vars(config), "output": str(tmp_path / "twice")}))
    once = merge(MergeConfig(run_id=runs["lora"], output=str(tmp_path / "once"), prompt_limit=6))
    assert twice.merged.written.equal_answers == once.merged.written.equal_answers == 1.0
    from safetensors.torch import load_file

    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("once", "twice"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5, "a quarter and three quarters of one"
    with pytest.raises(ModelError, match="trained on different bases"):
        merge(MergeConfig(run_id=f"{runs['lora']},{runs['qlora']}", output=str(tmp_path / "no"), prompt_limit=2))


def test_what_cannot_be_merged_is_said(runs, tmp_path: Path):
    with pytest.raises(ConfigError, match="one of run_id and adapter is needed"):
        merge(MergeConfig(output="x"))
    with pytest.raises(ConfigError, match="exclude each other"):
        merge(MergeConfig(run_id="a", adapter="b", output="x"))
    with pytest.raises(ConfigError, match="no output was named"):
        merge(MergeConfig(run_id="a"))
    with pytest.raises(ConfigError, match=r"weights=1,2 does not fit 1 adapter\n"):
        combination_of("1,2", 1, "linear", 0.5)
    with pytest.raises(TrackingError, match=r"the weights of run 0{32} cannot be fetched"):
        merge(MergeConfig(run_id="0" * 32, output=str(tmp_path / "x")))
    with pytest.raises(ModelError, match="neither a model nor an adapter"):
        merge(MergeConfig(adapter=str(tmp_path), output=str(tmp_path / "x")))
    [failed, *_] = [record for record in read_records(None, kind="merge") if record.status == "FAILED"]
    with pytest.raises(TrackingError, match=r"has no tuned weights: its kind is merge"):
        merge(MergeConfig(run_id=failed.run_id, output=str(tmp_path / "x")))
    with pytest.raises(DataError, match="absent"):
        merge(MergeConfig(run_id=runs["lora"], output=str(tmp_path / "x"), prompts="absent.json"))
    assert not (tmp_path / "x").exists()


def test_a_registered_model_answers_as_mlflow_serves_it(runs, tmp_path: Path):
    import mlflow

    outcome = merge(
        MergeConfig(run_id=runs["lora"], output=str(tmp_path / "merged"), register="tuned-lab", prompt_limit=4)
    )
    assert outcome.version == 1
    served = mlflow.pyfunc.load_model("models:/tuned-lab/1")
    question = questions_for(_weights(runs["lora"]), "", 1).questions[0]
    messages = [{"role": turn.role, "content": turn.content} for turn in question.turns]
    [completion] = served.predict({"messages": messages, "max_tokens": 8, "temperature": 1e-3})
    ours = load_base_model(str(tmp_path / "merged"), CPU)
    [ids] = generate(ours.model, ours.tokenizer, [render_turns(question.turns, ours.tokenizer)], max_new_tokens=8)
    assert completion["choices"][0]["message"]["content"] == ours.tokenizer.decode(ids).strip()


@pytest.mark.parametrize(("quantization", "said"), [("int8", "an int8 layer rounds"), ("", "check the base")])
def test_what_breaks_the_limits_is_told_by_how_the_base_was_kept(quantization: str, said: str, tmp_path: Path):
    parity = Parity(prompts=50, places=261, max_logit_difference=3.68, equal_answers=0.9, max_logit=40.0)
    weights = Weights(tmp_path, Origin(quantization=quantization), adapter=True)
    with pytest.raises(ModelError, match=rf"differ by up to 3\.68[\s\S]*{said}"):
        _keep_limits(parity, Limits(), [weights])
