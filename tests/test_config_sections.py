"""Configurations in sections: one name for each parameter, plug-ins that own theirs, files that are read strictly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from entrypoints._cli import texts
from predictor.config import Sectioned, from_strings, from_values, param, parameters_of, write_config
from predictor.errors import ConfigError
from predictor.finetune.methods import METHODS
from predictor.finetune.methods.full import Full
from predictor.flows.predict import PredictConfig
from predictor.trial.config import FinetuneConfig, config_of, finetune_config
from predictor.trial.identity import identity

IN_SECTIONS = """
data: {dataset: a.json}
method: lora
lora: {r: 16, lora_alpha: 64}
training: {learning_rate: 1e-3, epochs: 2}
probe: {tiers: [static, forward]}
seed: 7
"""


def _read(folder: Path, text: str, name: str = "c.yaml", **more: str) -> FinetuneConfig:
    (folder / name).write_text(text)
    return from_strings(FinetuneConfig, {"config": str(folder / name), **more})


def test_a_file_in_sections_is_what_its_parameters_say_one_by_one(tmp_path: Path):
    values = {"dataset": "a.json", "lora_r": 16, "lora_alpha": 64, "learning_rate": 1e-3, "epochs": 2, "seed": 7}
    assert _read(tmp_path, IN_SECTIONS) == finetune_config(**values, tiers="static,forward")
    assert _read(tmp_path, json.dumps(yaml.safe_load(IN_SECTIONS)), "c.json") == _read(tmp_path, IN_SECTIONS)
    assert _read(tmp_path, json.dumps(values), "flat.json") == finetune_config(**values)


def test_what_is_given_beside_a_file_wins(tmp_path: Path):
    config = _read(tmp_path, IN_SECTIONS, lora_r="4", seed="", epochs="5")
    assert config == _read(tmp_path, IN_SECTIONS).replace(lora_r=4, epochs=5.0)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_resolved_file_is_the_same_configuration(tmp_path: Path, method: str):
    config = finetune_config(dataset="x.json", method=method, max_steps=3, dev_limit=0)
    write_config(tmp_path, config)
    assert from_strings(FinetuneConfig, {"config": str(tmp_path / "config.json")}) == config
    assert config_of(json.loads((tmp_path / "config.json").read_text())) == config
    assert set(json.loads((tmp_path / "config.json").read_text())) >= {"data", "training", "evaluation", "probe"}


def test_a_configuration_of_an_earlier_version_is_read_flat_and_without_what_is_gone():
    assert config_of({"dataset": "a", "lora_r": 4, "a_field_of_another_version": 1}) == finetune_config(
        dataset="a", lora_r=4
    )


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("trainin: {epochs: 1}", "unknown section 'trainin'", "did you mean 'training'?"),
        ("training: {epoch: 1}", "unknown entry 'epoch' in section 'training'", "did you mean 'epochs'?"),
        ("training: {dataset: a}", "unknown entry 'dataset' in section 'training'", "dataset stands in section 'data'"),
        ("learning_rte: 1", "unknown parameter 'learning_rte'", "did you mean 'learning_rate'?"),
        ("training: {epochs: two}", "epochs='two' is not a number", None),
        ("training: {epochs: true}", "epochs=True is not a number", None),
        ("training: {batch_size: 1.5}", "batch_size=1.5 is not a whole number", None),
        ("data: {dataset: 3}", "dataset=3 is not text", None),
        ("training: {epochs: -1}", "epochs=-1 is out of range", "the default is 3.0"),
        ("training: {epochs: 1}\nepochs: 2", "epochs is given twice", None),
        ("training: {epochs: 1, epochs: 2}", "the configuration cannot be read: 'epochs' stands there twice", None),
        ("[1]", "the configuration is no mapping", None),
        ("a: [", "the configuration cannot be read", None),
        ("method: lor", "unknown method 'lor'", "did you mean 'lora'?"),
        (
            "method: full\nlora: {r: 4}",
            "lora_r is not read by method=full",
            "leave it out, or choose method=lora or qlora or sft",
        ),
        (
            "method: full\nlora_r: 4",
            "lora_r is not read by method=full",
            "leave it out, or choose method=lora or qlora or sft",
        ),
    ],
)
def test_what_a_file_says_wrongly_is_refused_with_its_place(tmp_path: Path, text: str, what: str, fix: str | None):
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, text)
    assert what in caught.value.what
    assert str(tmp_path / "c.yaml") in (caught.value.where or "")
    if fix:
        assert caught.value.fix == fix


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="the configuration cannot be read"):
        from_strings(FinetuneConfig, {"config": str(tmp_path / "none.yaml")})


def test_a_parameter_of_another_method_is_refused_and_an_empty_one_is_not():
    assert from_strings(FinetuneConfig, {"method": "full", "lora_r": ""}) == finetune_config(method="full")
    with pytest.raises(ConfigError, match=r"lora_r is not read by method=full[\s\S]*choose method=lora"):
        from_strings(FinetuneConfig, {"method": "full", "lora_r": "8"})


def test_another_method_leaves_the_section_of_the_one_before_behind():
    config = finetune_config(lora_r=4, seed=3)
    assert config.replace(method="full") == finetune_config(method="full", seed=3)
    with pytest.raises(ConfigError, match="lora_r is not read by method=full"):
        config.replace(method="full", lora_r=4)


def test_a_task_owns_its_section_and_reads_it(tmp_path: Path):
    from benchmarks.tiny import qa_rows, write_squad
    from predictor.trial.materials import gather

    file = str(write_squad(tmp_path / "a.json", qa_rows(12)))
    config = finetune_config(dataset=file, eval_dataset=file, max_new_tokens=5)
    assert config.in_sections()["qa"] == {"max_new_tokens": 5}
    assert gather(config).task.max_new_tokens == 5
    assert gather(config.replace(max_new_tokens=64)).task.max_new_tokens == 64
    with pytest.raises(ConfigError, match="max_new_tokens=0 is out of range"):
        finetune_config(max_new_tokens=0)


def test_a_ranking_takes_the_parameters_of_the_fine_tune_that_it_probes():
    config = from_values(PredictConfig, {"candidates": "a,b", "learning_rate": 1e-3, "probe_steps": 4})
    assert config.like({}) == finetune_config(learning_rate=1e-3, probe_steps=4)
    for name in ("dataset", "checkpoint_steps"):
        with pytest.raises(ConfigError, match=f"unknown parameter '{name}'"):
            from_values(PredictConfig, {name: "1"})


def test_the_family_of_a_dataset_is_told_and_makes_no_other_fine_tune():
    config = finetune_config(dataset="a.json", family="translated")
    assert config.data.family == "translated"
    assert identity(config, "d", "e", "b") == identity(config.replace(family=""), "d", "e", "b")
    assert identity(config, "d", "e", "b") != identity(config.replace(train_limit=5), "d", "e", "b")


TAUGHT = {"base_model": "big", "eval_dataset": "e.json", "eval_limit": 100, "dev_limit": 8, "tiers": "static"}


def test_a_ranking_probes_as_the_runs_were_that_taught_unless_it_is_said(tmp_path: Path):
    assert PredictConfig().said == {}
    assert PredictConfig().like({}) == finetune_config()
    assert PredictConfig().like(TAUGHT) == finetune_config(**TAUGHT)
    given = {"base_model": "small", "eval_limit": "0", "dev_limit": "", "tiers": "", "task": ""}
    config = from_strings(PredictConfig, given)
    assert config.said == {"base_model": "small", "eval_limit": 0}
    assert config.like(TAUGHT) == finetune_config(**{**TAUGHT, "base_model": "small", "eval_limit": 0})
    (tmp_path / "c.yaml").write_text(
        "evaluation: {dev_limit: 4}\nmodel: {base_model: small}\nprobe: {tiers: [embed]}\n"
    )
    config = from_strings(PredictConfig, {"config": str(tmp_path / "c.yaml"), "task": "qa"})
    assert config.said == {"dev_limit": 4, "base_model": "small", "tiers": "embed", "task": "qa"}
    assert config.replace(learning_rate=1.0).said == {**config.said, "learning_rate": 1.0}


def test_a_trial_made_in_python_says_what_is_not_its_default():
    config = PredictConfig(trial=finetune_config(dev_limit=4, method="full"))
    assert config.said == {"dev_limit": 4, "method": "full"}
    assert config.like(TAUGHT) == finetune_config(**{**TAUGHT, "dev_limit": 4}, method="full")


def test_a_made_up_method_owns_its_section_and_sets_defaults_of_others(monkeypatch: pytest.MonkeyPatch):
    @dataclass(frozen=True)
    class PrefixSettings:
        virtual_tokens: int = param(20, "tokens before each prompt", least=1)

    class Prefix(Full):
        settings = PrefixSettings
        defaults = {"learning_rate": 3e-2}  # noqa: RUF012

    monkeypatch.setitem(METHODS._entries, "prefix", Prefix())
    config = finetune_config(method="prefix", virtual_tokens=5)
    assert config.hyperparameters.method.settings == PrefixSettings(5)
    assert config.hyperparameters.training.learning_rate == 3e-2
    assert config.replace(learning_rate=1.0).hyperparameters.training.learning_rate == 1.0
    assert config.in_sections()["prefix"] == {"virtual_tokens": 5}
    with pytest.raises(ConfigError, match="virtual_tokens is not read by method=lora"):
        finetune_config(virtual_tokens=5)
    assert "virtual_tokens" in parameters_of(FinetuneConfig, {"method": "prefix"})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--seed", "3", "--dataset=a=b.json"], {"seed": "3", "dataset": "a=b.json"}),
        (["--learning_rate", "-1e-3"], {"learning_rate": "-1e-3"}),
        (["--dataset", "", "--seed", "1"], {"dataset": "", "seed": "1"}),
        (["--sed", "3"], {"sed": "3"}),
        (["stray"], {"stray": ""}),
    ],
)
def test_flags_of_the_command_line(arguments: list[str], expected: dict[str, str]):
    assert texts(FinetuneConfig, arguments) == expected


def test_a_flag_given_twice_is_refused():
    with pytest.raises(ConfigError, match="seed is given 2 times"):
        texts(FinetuneConfig, ["--seed", "1", "--seed", "2"])


def test_every_configuration_in_sections_has_each_name_once():
    for cls in Sectioned.__subclasses__():
        assert set(cls().values()) == set(parameters_of(cls)), cls  # type: ignore[call-arg]
