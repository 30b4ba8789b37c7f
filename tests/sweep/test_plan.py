"""Plans: what a file may say, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.errors import ConfigError
from predictor.sweep import Plan, read_plan
from predictor.sweep.space import Choices, Range, read_grid
from predictor.trial.config import finetune_config, hyperparameters_of


def _read(folder: Path, text: str) -> Plan:
    (folder / "plan.yaml").write_text(text)
    return read_plan(str(folder / "plan.yaml"))


def test_a_plan_names_datasets_hyperparameters_seeds_and_fields_of_finetune(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).touch()
    plan = _read(
        tmp_path,
        "datasets: [{family: size, dial: [64, 128], seed: [1, 2]}, '*.jsonl', 'lab:one_phrasing']\n"
        "hp: {learning_rate: [1.0e-3, 3e-3], lora_r: 4, epochs: {low: 1, high: 3}}\nseeds: [1, 2]\neval_limit: 64\n",
    )
    assert plan.datasets == (
        "lab:size:dial=64:seed=1",
        "lab:size:dial=64:seed=2",
        "lab:size:dial=128:seed=1",
        "lab:size:dial=128:seed=2",
        "a.jsonl",
        "b.jsonl",
        "lab:one_phrasing",
    )
    [space] = plan.spaces
    assert space == {
        "learning_rate": Choices((1e-3, 3e-3)),
        "lora_r": Choices((4,)),
        "epochs": Range(1.0, 3.0, log=False, whole=False),
    }
    assert (plan.seeds, plan.base_models, plan.fixed) == ((1, 2), ("lab",), {"eval_limit": 64})
    config = plan.config("a.jsonl", "lab", 2, {"lora_r": 4})
    expected = {"dataset": "a.jsonl", "seed": 2, "lora_r": 4, "eval_limit": 64}
    assert config == finetune_config(**expected)


def test_alternatives_each_with_their_own_values(tmp_path: Path):
    full, lora = "{method: full, learning_rate: [1.0e-4, 2.0e-4]}", "{method: lora, lora_r: [8, 16]}"
    plan = _read(tmp_path, f"datasets: [a]\nhp: [{full}, {lora}, {{method: lora, lora_r: 8}}]\n")
    assert list(plan.combinations()) == [
        {"method": "full", "learning_rate": 1e-4},
        {"method": "full", "learning_rate": 2e-4},
        {"method": "lora", "lora_r": 8},
        {"method": "lora", "lora_r": 16},
    ]
    assert plan.compares_methods
    assert not _read(tmp_path, "datasets: [a]\nhp: [{lora_r: 8, epochs: 1}, {lora_r: 16}]\n").compares_methods
    assert _read(tmp_path, "datasets: [a]\nhp: [{method: full}, {lora_r: 16}]\n").compares_methods
    one, listed = (_read(tmp_path, f"datasets: [a]\nhp: {hp}\n") for hp in ("{lora_r: 8}", "[{lora_r: 8}]"))
    assert one.digest == listed.digest != plan.digest
    ranges = _read(tmp_path, "datasets: [a]\nhp: [{lora_r: 8}, {epochs: {low: 1, high: 3}}]\n")
    assert ranges.ranges == ("epochs",)


def test_expressions_in_a_plan_are_written_out(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("a.json", "b,1.json", "c[1].jsonl"):
        (tmp_path / "data" / name).touch()
    plan = _read(
        tmp_path,
        "datasets:\n"
        "- spoil:wrong_answers:dial=0.5:data/*.json\n"
        "- data/c[1].jsonl\n"
        "- spoil:wrong_answers:data/c[1].jsonl\n"
        "- mix:size=8:1:data/*.json,2:lab:size:dial=64\n"
        "- {spoil: wide_answers, dial: [0.2, 0.5], seed: [1, 2], of: data/a.json}\n"
        "- {spoil: truncated_answers, dial: 1, of: ['data/*.json', {family: size, dial: [64, 128]}]}\n",
    )
    assert plan.datasets == (
        "spoil:wrong_answers:dial=0.5:data/a.json",
        "spoil:wrong_answers:dial=0.5:data/b,1.json",
        "data/c[1].jsonl",
        "spoil:wrong_answers:data/c[1].jsonl",
        "mix:size=8:1:data/a.json,2:lab:size:dial=64",
        "mix:size=8:1:(data/b,1.json),2:lab:size:dial=64",
        "spoil:wide_answers:dial=0.2:seed=1:data/a.json",
        "spoil:wide_answers:dial=0.2:seed=2:data/a.json",
        "spoil:wide_answers:dial=0.5:seed=1:data/a.json",
        "spoil:wide_answers:dial=0.5:seed=2:data/a.json",
        "spoil:truncated_answers:dial=1:data/a.json",
        "spoil:truncated_answers:dial=1:data/b,1.json",
        "spoil:truncated_answers:dial=1:lab:size:dial=64",
        "spoil:truncated_answers:dial=1:lab:size:dial=128",
    )


def test_an_entry_tells_how_its_datasets_were_made(tmp_path: Path):
    plan = _read(
        tmp_path,
        "datasets:\n"
        "- {family: web, of: [a.jsonl, b.jsonl]}\n"
        "- c.jsonl\n"
        "- {family: noisy, spoil: wrong_answers, dial: [0.2, 0.4], of: c.jsonl}\n",
    )
    told = {name: plan.config(name, "lab", 1, {}).data.family for name in plan.datasets}
    assert told == {
        "a.jsonl": "web",
        "b.jsonl": "web",
        "c.jsonl": "",
        "spoil:wrong_answers:dial=0.2:c.jsonl": "noisy",
        "spoil:wrong_answers:dial=0.4:c.jsonl": "noisy",
    }


def test_methods_are_tried_like_hyperparameters_each_with_its_own_defaults(tmp_path: Path):
    text = "datasets: [a.jsonl]\ntask: classification\nbase_models: [minilm]\nhp: {method: [full, lora], epochs: [1]}\n"
    plan = _read(tmp_path, text)
    assert plan.compares_methods
    configs = [plan.config("a.jsonl", "minilm", 1, hp) for hp in plan.combinations()]
    assert [(c.hyperparameters.method.name, c.hyperparameters.training.batch_size) for c in configs] == [
        ("full", 4),
        ("lora", 8),
    ]
    assert not _read(tmp_path, "datasets: [a.jsonl]\nhp: {lora_r: [4, 8]}\n").compares_methods


def test_the_combinations_of_a_plan_are_all_of_them(tmp_path: Path):
    plan = _read(tmp_path, "datasets: [a.jsonl]\nhp: {learning_rate: [1.0e-3, 3.0e-3], lora_r: [4, 8]}\n")
    assert [tuple(hp.values()) for hp in plan.combinations()] == [(1e-3, 4), (1e-3, 8), (3e-3, 4), (3e-3, 8)]
    assert not plan.has_ranges


def test_the_digest_of_a_plan_changes_with_what_it_says(tmp_path: Path):
    text = "datasets: [a.jsonl]\nhp: {lora_r: [4]}\n"
    assert _read(tmp_path, text).digest == _read(tmp_path, "hp:\n  lora_r: [4]\ndatasets: [a.jsonl]\n").digest
    assert _read(tmp_path, text).digest != _read(tmp_path, text.replace("4", "8")).digest


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("[1, 2", "the plan cannot be read", "plan.yaml"),
        ("[1, 2]", "the plan is no mapping", "plan.yaml"),
        ("hp: {}", "the plan has no datasets", "plan.yaml"),
        ("datasets: []", "the plan has no datasets", "plan.yaml"),
        ("datasets: [a, a]", "datasets names a twice", "plan.yaml"),
        ("datasets: [3]", "3 is no dataset", "datasets entry 1"),
        ("datasets: [{dial: 3}]", "the entry names no family", "datasets entry 1"),
        ("datasets: [{family: size, dail: 3}]", "unknown key 'dail'", "datasets entry 1"),
        ("datasets: [{spoil: wrong_answers, dail: 3, of: a}]", "unknown key 'dail'", "datasets entry 1"),
        ("datasets: [{spoil: wrong_answers}]", "the entry names no dataset", "datasets entry 1"),
        ("datasets: [{family: web, of: []}]", "the entry names no dataset", "datasets entry 1"),
        ("datasets: [{family: web, dial: 3, of: a}]", "unknown key 'dial'", "datasets entry 1"),
        ("datasets: [{spoil: wrong_answers, of: 3}]", "3 is no dataset", "datasets entry 1"),
        ("datasets: ['spoil:wrong_answers:none/*.jsonl']", "no file matches 'none/*.jsonl'", "datasets entry 1"),
        ("datasets: ['none/*.jsonl']", "no file matches 'none/*.jsonl'", "datasets entry 1"),
        ("datasets: [a]\nseed: 1", "unknown entry 'seed'", "plan.yaml"),
        ("datasets: [a]\nlora_r: 8", "unknown entry 'lora_r'", "plan.yaml"),
        ("datasets: [a]\neval_limit: many", "eval_limit='many' is not a whole number", "plan.yaml"),
        ("datasets: [a]\neval_limit: -1", "eval_limit=-1 is out of range", "eval_limit"),
        ("datasets: [a]\nseeds: [one]", "seed 'one' is no whole number", "seeds"),
        ("datasets: [a]\nhp: {method: [lore]}", "unknown method 'lore'", "hp.method"),
        ("datasets: [a]\nhp: {method: [full, lora], lora_r: [8]}", "lora_r is not read by method=full", "lora_r"),
        ("datasets: [a]\nhp: [1]", "hp is no mapping", "plan.yaml"),
        ("datasets: [a]\nhp: {lora_rank: [8]}", "unknown hyperparameter 'lora_rank'", "hp"),
        ("datasets: [a]\nhp: {lora_r: [eight]}", "lora_r='eight' is not a whole number", "hp.lora_r"),
        ("datasets: [a]\nhp: {lora_r: [0]}", "lora_r=0 is out of range", "hp.lora_r"),
        ("datasets: [a]\nhp: {lora_r: []}", "lora_r has no values", "hp.lora_r"),
        ("datasets: [a]\nhp: {lora_r: {low: 4}}", "lora_r has no proper range", "hp.lora_r"),
        ("datasets: [a]\nhp: {lora_r: {low: 8, high: 4}}", "the range of lora_r is 8 to 4", "hp.lora_r"),
    ],
)
def test_a_plan_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, what: str, where: str):
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, text)
    assert what in caught.value.what
    assert where in (caught.value.where or "")


def test_no_plan_and_a_plan_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="no plan was given"):
        read_plan("")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(str(tmp_path / "none.yaml"))


def test_a_misplaced_hyperparameter_is_told_where_it_belongs(tmp_path: Path):
    with pytest.raises(ConfigError, match="unknown entry") as caught:
        _read(tmp_path, "datasets: [a]\nlora_r: 8")
    assert caught.value.fix == "hyperparameters stand under hp: lora_r"


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    path = tmp_path / "grid.json"
    path.write_text('{"learning_rate": [1e-4, 3e-4], "lora_r": [8, 16]}')
    combinations = read_grid(str(path), hyperparameters_of())
    assert len(combinations) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the grid cannot be read"),
        ("[1]", "the grid is no mapping"),
        ('{"lora_r": []}', "lora_r has no values"),
        ('{"lorar": [8]}', "did you mean 'lora_r'"),
        ('{"lora_r": ["x"]}', "lora_r='x' is not a whole number"),
        ('{"lora_r": {"low": 1, "high": 4}}', "lora_r is a range"),
        ('{"lora_r": [8], "lora_r": [4]}', "'lora_r' stands there twice"),
        ('{"learning_rate": [-1]}', "out of range"),
    ],
)
def test_faults_of_a_grid(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_grid(str(path), hyperparameters_of())
    assert message in str(caught.value)
