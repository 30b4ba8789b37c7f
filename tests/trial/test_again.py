"""A run after another in one process: nothing is done twice, and every number is that of a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from predictor.config import write_config
from predictor.flows.finetune import finetune
from predictor.flows.probe import probe_dataset
from predictor.models import shelf
from predictor.schema import RunRecord, keys
from predictor.tracking import read_records
from predictor.trial import measured, trial
from predictor.trial.config import FinetuneConfig
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def nothing_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    forget()
    yield
    forget()


def forget() -> None:
    """As in a process that has just begun."""
    shelf.forget()
    measured.forget()


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path, store: str) -> FinetuneConfig:
    return small_config(tiny_base, tmp_path, max_steps=4, probe_steps=2, tiers="static,forward,train")


def numbers(record: RunRecord, folder: Path) -> dict[str, Any]:
    """All numbers of a run but its seconds, with the bits of the result; floats as text, so that NaN equals NaN."""
    client = MlflowClient()
    weights = client.download_artifacts(record.run_id, "adapter/adapter_model.safetensors", str(folder))
    curves = [
        [(point.step, point.value) for point in client.get_metric_history(record.run_id, key)]
        for key in ("train/loss", "train/grad_norm", "eval/loss")
    ]
    plain = dataclasses.replace(record, run_id="", start_time=0, costs={})
    return {"record": repr(plain), "weights": Path(weights).read_bytes(), "curves": curves}


def test_a_later_run_gives_the_numbers_of_a_process_of_its_own(config: FinetuneConfig, tmp_path: Path):
    write_config(tmp_path, config)
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from predictor import environment; environment.prepare()\n"
        "from predictor.flows.finetune import finetune\n"
        "from predictor.trial.config import config_of\n"
        "import json; finetune(config_of(json.load(open(sys.argv[1]))), experiment='alone')\n"
    )
    environment = {**os.environ, "PREDICTOR_CACHE": str(tmp_path / "other"), "PYTHONPATH": str(_root())}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "config.json")], check=True, env=environment)
    [alone] = read_records(["alone"])
    changes: list[dict[str, Any]] = [{"seed": 7, "learning_rate": 3e-2}, {}, {"method": "full"}, {}, {}]
    for change in changes:
        finetune(config.replace(**change), experiment="e")
    later = [record for record in read_records(["e"]) if record.method == "lora" and record.seed == 1]
    assert ["saved_load_s" in record.costs for record in later] == [True, False, True]
    (tmp_path / "alone").mkdir()
    expected = numbers(alone, tmp_path / "alone")
    for number, record in enumerate(later):
        (tmp_path / str(number)).mkdir()
        assert numbers(record, tmp_path / str(number)) == expected


def test_features_are_measured_once_for_all_settings_of_a_dataset(
    config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
):
    first = finetune(config)
    for name in ("static_features", "forward_features", "evaluate"):
        monkeypatch.setattr(trial, name, lambda *args, **kwargs: pytest.fail("measured again"))
    again = probe_dataset(config.replace(tiers="static,forward", learning_rate=1e-3, seed=3))
    assert set(again.probe) < set(first.probe)
    assert all(repr(first.probe[name]) == repr(value) for name, value in again.probe.items())
    forget()
    from_disk = probe_dataset(config.replace(tiers="static,forward"))
    assert repr(from_disk.probe) == repr(again.probe)


def test_what_was_not_done_again_costs_nothing_and_says_what_it_had_cost(config: FinetuneConfig):
    first, second = (probe_dataset(config.replace(tiers="static,forward")).costs for _ in range(2))
    assert not any(name.startswith("saved_") for name in first)
    for part in ("load", "probe_static", "probe_forward"):
        assert 0 < second[f"saved_{part}_s"] <= first[f"{part}_s"]
        assert second[f"{part}_s"] < first[f"{part}_s"]
    assert second["total_s"] < first["total_s"]


@pytest.mark.parametrize(
    "change",
    [{"max_length": 80}, {"dev_limit": 4}, {"train_limit": 40}, {"eval_limit": 10}],
)
def test_other_rows_are_measured_anew(config: FinetuneConfig, change: dict[str, Any]):
    probe = config.replace(tiers="embed" if "eval_limit" in change else "forward")
    probe_dataset(probe)
    tier = probe.probe.tiers
    assert f"saved_probe_{tier}_s" not in probe_dataset(probe.replace(**change)).costs
    assert f"saved_probe_{tier}_s" in probe_dataset(probe.replace(seed=5)).costs


def test_another_chat_template_is_another_model(config: FinetuneConfig, tiny_base: Path, tmp_path: Path):
    import shutil

    folder = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    probe = config.replace(tiers="forward", base_model=str(folder))
    first = probe_dataset(probe)
    for file in folder.iterdir():
        if file.suffix in (".jinja", ".json") and "<|im_start|>" in file.read_text() and file.name != "tokenizer.json":
            file.write_text(file.read_text().replace("{% for m in messages %}", "Dear model. {% for m in messages %}"))
    second = probe_dataset(probe)
    assert second.probe["initial_loss"] != first.probe["initial_loss"]
    assert second.base_model_digest == first.base_model_digest, "the weights are the same"
    assert second.config_hash != first.config_hash
    tags = [MlflowClient().get_run(record.run_id).data.tags[keys.TAG_MODEL_DIGEST] for record in (first, second)]
    assert tags[0] != tags[1]


def test_a_damaged_entry_is_measured_anew_and_a_folder_that_cannot_be_written_warns(
    config: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    static = config.replace(tiers="static")
    first = probe_dataset(static)
    [entry] = (tmp_path / "cache" / "features").iterdir()
    assert json.loads(entry.read_text())["tier"] == "static"
    for damage in ("{", "[]", '{"features": {"a": "b"}, "seconds": 1}'):
        forget()
        entry.write_text(damage)
        assert repr(probe_dataset(static).probe) == repr(first.probe)
    forget()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="features are not cached"):
        assert repr(probe_dataset(static).probe) == repr(first.probe)


def test_code_that_has_no_file_is_not_trusted_to_stay_the_same():
    class Task:
        name = "made"

    Task.__module__ = "typed_in_by_hand"
    calls: list[int] = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"a": 1.0}

    for _ in range(2):
        assert measured.measured("static", Task(), {}, compute, disk=True).now  # type: ignore[arg-type]
    assert len(calls) == 2


def _root() -> Path:
    return Path(__file__).resolve().parents[2]


def test_what_the_base_says_on_the_development_slice_is_asked_once_for_all_datasets(
    config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []
    plain = trial.headline_score
    monkeypatch.setattr(trial, "headline_score", lambda *given: (asked.append(1), plain(*given))[1])
    probe = config.replace(tiers="forward")
    first, second = probe_dataset(probe), probe_dataset(probe.replace(train_limit=40))
    assert len(asked) == 1
    assert first.probe["initial_loss"] != second.probe["initial_loss"]
    of_dev = [name for name in first.probe if name.startswith(("zero_shot", "dev_"))]
    assert of_dev
    assert all(first.probe[name] == second.probe[name] for name in of_dev)
    assert "saved_probe_dev_s" not in first.costs
    assert second.costs["saved_probe_dev_s"] > 0
    # Another slice is another question.
    probe_dataset(probe.replace(dev_limit=4))
    assert len(asked) == 2
