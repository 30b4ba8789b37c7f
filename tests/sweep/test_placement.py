"""What workers on other machines ask for, and the files that are brought to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.errors import ConfigError, PredictorError
from predictor.sweep import read_plan
from predictor.sweep.placement import Freight, Resources, digest_of, freight_of, read_resources, settle
from predictor.trial.config import finetune_config

ROWS = '[{"context": "a", "question": "b", "answer": "c"}]'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data."""
    folder = tmp_path / "home"
    (folder / "data").mkdir(parents=True)
    for name in ("one", "two"):
        (folder / "data" / f"{name}.json").write_text(ROWS)
    monkeypatch.chdir(folder)
    return folder


def test_resources_stand_in_the_plan_and_are_no_part_of_what_it_is(home: Path):
    plain = "datasets: [data/one.json]\nhp: {epochs: [1]}\n"
    (home / "plain.yaml").write_text(plain)
    (home / "asked.yaml").write_text(plain + "resources: {cpus: 4, gpus: 0.5, partition: short, options: {qos: low}}\n")
    asked = read_plan("asked.yaml")
    assert asked.resources == Resources(cpus=4, gpus=0.5, partition="short", options={"qos": "low"})
    assert asked.digest == read_plan("plain.yaml").digest


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"\[\] is no mapping"),
        ({"cpu": 1}, "unknown resource 'cpu'"),
        ({"cpus": 0}, "cpus: 0"),
        ({"cpus": True}, "cpus: True"),
        ({"gpus": 1.5}, "gpus: 1.5"),
        ({"memory_gb": "8"}, "memory_gb: '8'"),
        ({"minutes": float("nan")}, "minutes: nan"),
        ({"partition": 3}, "partition: 3"),
        ({"options": "qos"}, "options: 'qos'"),
    ],
)
def test_resources_that_make_no_sense_are_told(given: object, message: str):
    with pytest.raises(ConfigError, match=message) as error:
        read_resources(given, "plan.yaml, resources")
    assert error.value.where == "plan.yaml, resources"


def test_files_behind_all_names_are_found(home: Path):
    names = [
        "mix:0.5:data/one.json,0.5:spoil:wrong_answers:dial=1:data/two.json",
        "data",
        "lab:size:size=9",
        "owner/hub",
    ]
    configs = [finetune_config(dataset=name, eval_dataset=str(home / "data" / "one.json")) for name in names]
    found = freight_of(configs)
    assert found.carried == {f"data/{name}.json": digest_of(home / "data" / f"{name}.json") for name in ("one", "two")}
    assert found.expected == (str(home / "data" / "one.json"),)


def test_where_the_files_are_nothing_is_brought(home: Path, tmp_path: Path):
    settle(Freight({"data/one.json": digest_of(Path("data/one.json"))}), None, tmp_path / "shelf")
    assert Path.cwd() == home
    assert not (tmp_path / "shelf").exists()


def test_files_are_brought_under_the_names_that_the_plan_has(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    freight = Freight({"data/one.json": digest_of(Path("data/one.json"))})
    (tmp_path / "far").mkdir()
    monkeypatch.chdir(tmp_path / "far")
    for _ in range(2):  # the second worker of the machine finds them
        settle(freight, {"data/one.json": ROWS.encode()}, tmp_path / "shelf")
        assert Path("data/one.json").read_text() == ROWS
        assert (tmp_path / "shelf") in Path.cwd().parents
        monkeypatch.chdir(tmp_path / "far")
    # Another file under the same name is another freight, in another folder.
    (tmp_path / "far" / "data").mkdir()
    (tmp_path / "far" / "data" / "one.json").write_text("[]")
    settle(freight, {"data/one.json": ROWS.encode()}, tmp_path / "shelf")
    assert Path("data/one.json").read_text() == ROWS


def test_what_cannot_be_brought_is_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    freight = Freight({"data/one.json": digest_of(Path("data/one.json"))})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PredictorError, match="lacks a file of the plan, or has another one") as error:
        settle(freight, None, tmp_path / "shelf")
    assert error.value.where == str(tmp_path / "data" / "one.json")
    with pytest.raises(PredictorError, match="this machine lacks a file of the plan") as error:
        settle(Freight({}, ("/absent/rows.json",)), None, tmp_path / "shelf")
    assert error.value.where == "/absent/rows.json"
