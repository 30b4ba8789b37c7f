"""Names of base models: what stands behind them, what they are good for, and who brings them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.errors import ModelError
from predictor.flows.finetune import finetune
from predictor.flows.prepare import PrepareConfig, prepare
from predictor.flows.sweep import SweepConfig, sweep
from predictor.models.base_model import load_tokenizer
from predictor.models.bases import BASES, DECODER, ENCODER, NamedBase
from predictor.models.bases.smollm2 import SMOLLM2
from predictor.models.digests import planned_digest, weights_digest
from predictor.probe.encoder import DIGEST
from predictor.progress import SILENT, Progress
from predictor.tracking import read_records
from predictor.trial.config import finetune_config
from predictor.trial.sources import base_source, named_bases, ready_base
from predictor.trial.trial import Trial

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the package index is out of reach."""
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    return tmp_path / "cache"


@pytest.fixture
def brought(cache: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """smollm2, which in this process is made of the tiny base: the folders that were made."""
    made: list[Path] = []

    def bring(progress: Progress) -> Path:
        if not SMOLLM2.place().is_dir():
            progress.stage("bring")
            shutil.copytree(tiny_base, SMOLLM2.place())
            made.append(SMOLLM2.place())
        return SMOLLM2.place()

    named_bases()
    monkeypatch.setitem(BASES._entries, "smollm2", dataclasses.replace(BASES.get("smollm2"), bring=bring))
    return made


@pytest.fixture
def values(tmp_path: Path, store: str) -> dict[str, object]:
    return {
        "dataset": str(write_squad(tmp_path / "train.json", qa_rows(16))),
        "eval_dataset": str(write_squad(tmp_path / "eval.json", qa_rows(16, start=90))),
        "eval_limit": 8,
        "dev_limit": 2,
        "batch_size": 8,
        "epochs": 1.0,
        "tiers": "static",
    }


def _names() -> list[str]:
    return named_bases().names()


@pytest.mark.parametrize("name", ["lab", "minilm", "smollm2"])
def test_a_named_base_says_what_it_is(name: str, cache: Path):
    base = named_bases().get(name)
    assert base.name == name
    assert base.kind in (DECODER, ENCODER)
    assert base.licence
    assert base.source
    assert re.fullmatch(r"(?:[0-9a-f]{64})?", base.sha256)
    place = base.place()
    assert place.is_absolute()
    assert not cache.exists(), "to say where it is costs nothing"
    if place.is_dir():
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6
        assert base.megabytes == pytest.approx(size, abs=1)
        assert base.bring(SILENT) == place == base.folder
        assert base.digest == weights_digest(str(place))
    else:
        assert (base.folder, base.digest) == (None, "")


def test_the_encoder_is_the_official_one():
    minilm = named_bases().get("minilm")
    assert (minilm.kind, minilm.sha256, minilm.licence) == (ENCODER, DIGEST, "Apache-2.0")
    assert ready_base("minilm", kind=ENCODER) == base_source("minilm", ENCODER) == str(minilm.place())


def test_an_encoder_that_is_not_installed_is_not_there(monkeypatch: pytest.MonkeyPatch):
    from predictor.probe import encoder

    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    minilm = named_bases().get("minilm")
    assert (minilm.folder, minilm.digest) == (None, "")
    with pytest.raises(ModelError, match="is not installed"):
        ready_base("minilm", kind=ENCODER)


@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("minilm", DECODER, "minilm is an encoder; it classifies or rates and writes no answers"),
        ("lab", ENCODER, "lab is a decoder; it writes answers"),
    ],
)
def test_a_base_of_the_other_kind_is_refused(name: str, kind: str, what: str):
    for ask in (lambda: base_source(name, kind), lambda: ready_base(name, kind=kind)):
        with pytest.raises(ModelError, match=what) as caught:
            ask()
        assert f"-P base_model={name}" in str(caught.value.where)
        allowed = {DECODER: "lab, smollm2", ENCODER: "minilm"}[kind]
        assert f"{allowed}, a folder, or a hub id" in str(caught.value.rule)
        assert "mlflow run . -e bases" in str(caught.value.fix)


def test_folders_and_hub_ids_are_what_they_are(tmp_path: Path):
    for name in (str(tmp_path), "./smollm2", "Qwen/Qwen2.5-7B-Instruct-1M"):
        assert base_source(name) == ready_base(name) == name


def test_a_base_that_is_not_there_yet_has_no_identity(brought: list[Path], values: dict[str, object]):
    config = finetune_config(**values, base_model="smollm2")
    trial = Trial(config)
    assert planned_digest(base_source("smollm2")) is None
    assert trial.identity is None
    assert not brought, "asking brings nothing"
    ready_base("smollm2")
    known = trial.identity
    assert known
    with trial:
        assert trial.base.source == str(SMOLLM2.place())
        assert trial.identity == known
    assert brought == [SMOLLM2.place()]


def test_a_fine_tune_brings_its_base(brought: list[Path], values: dict[str, object], tiny_base: Path):
    record = finetune(finetune_config(**values, base_model="smollm2"), experiment="e")
    assert (record.base_model, record.base_model_digest) == ("smollm2", weights_digest(str(tiny_base)))
    assert brought == [SMOLLM2.place()]


def test_without_a_network_a_fine_tune_fails_with_the_command_that_brings_its_base(
    cache: Path, values: dict[str, object]
):
    with pytest.raises(ModelError, match="'smollm2' is not on this machine") as caught:
        finetune(finetune_config(**values, base_model="smollm2"), experiment="e")
    assert "mlflow run . -e bases -P fetch=smollm2" in str(caught.value.fix)
    [record] = read_records(["e"])
    assert record.status == "FAILED"
    assert "not on this machine" in (record.failure or "")


def test_a_fine_tune_of_an_encoder_fails_with_the_reason(values: dict[str, object]):
    with pytest.raises(ModelError, match="minilm is an encoder; it classifies"):
        finetune(finetune_config(**values, base_model="minilm"), experiment="e")


def test_the_desk_measures_lengths_with_a_named_base(
    brought: list[Path], values: dict[str, object], tmp_path: Path, store: str
):
    prepared = prepare(
        PrepareConfig(input=str(values["dataset"]), output=str(tmp_path / "out"), base_model="smollm2", task="qa"),
        experiment="e",
    )
    assert prepared.report["rows"] == 16
    assert brought == [SMOLLM2.place()]


def test_a_sweep_brings_a_base_once_and_its_workers_find_it(
    brought: list[Path], values: dict[str, object], tmp_path: Path
):
    plan = {"datasets": [values.pop("dataset")], "base_models": ["smollm2"], "seeds": [1, 2]}
    hp = {name: values.pop(name) for name in ("batch_size", "epochs")}
    (tmp_path / "plan.json").write_text(json.dumps({**plan, **values, "hp": hp}))
    result = sweep(SweepConfig(plan=str(tmp_path / "plan.json"), workers=1, threads=1), experiment="s")
    # In a worker smollm2 is the real one, which it could not fetch.
    assert result.tally
    assert result.tally.finished == 2
    assert brought == [SMOLLM2.place()]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("smolm2", "did you mean 'smollm2'?"),
        ("labb", "did you mean 'lab'?"),
        ("nothing", "known: lab, minilm, smollm2"),
        ("./smolm2", "check the path, or take one of the names"),
        ("a/b/c", "check the path, or take one of the names"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(name: str, fix: str):
    with pytest.raises(ModelError, match=f"base model '{re.escape(name)}' does not exist") as caught:
        load_tokenizer(ready_base(name))
    assert caught.value.fix == fix
    assert "base_model is a name (lab, minilm, smollm2), a folder, or a hub id" in str(caught.value.rule)


def test_a_further_named_base_is_one_entry(tiny_base: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BASES, "_entries", dict(BASES._entries))
    entry = NamedBase("mine", DECODER, "here", "", "MIT", 1, lambda: tiny_base, lambda progress: tiny_base)
    BASES.add("mine", entry)
    assert ready_base("mine") == str(tiny_base)
    assert "mine" in _names()
