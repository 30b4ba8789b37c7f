from __future__ import annotations

import dataclasses

import pytest

from predictor.catalog import Catalog
from predictor.config import canonical_hash, check, from_strings, parameters_of
from predictor.errors import ConfigError
from predictor.finetune.settings import Training, hyperparameters
from predictor.trial.config import FinetuneConfig, finetune_config


def test_texts_become_typed_values_and_empty_means_default():
    config = from_strings(FinetuneConfig, {"learning_rate": "3e-4", "lora_r": "16", "epochs": "", "dataset": "a.json"})
    values = config.values()
    assert [values[name] for name in ("learning_rate", "lora_r", "epochs", "dataset")] == [3e-4, 16, 3.0, "a.json"]
    assert isinstance(values["lora_r"], int)


def test_whole_numbers_may_come_as_mlflow_writes_floats():
    assert from_strings(FinetuneConfig, {"lora_r": "8.0"}) == finetune_config(lora_r=8)


def test_the_defaults_are_the_standard_setting():
    hp = hyperparameters().logged()
    assert [hp[n] for n in ("learning_rate", "lora_r", "lora_alpha", "lora_dropout")] == [3e-4, 8, 32, 0.1]
    assert (hp["batch_size"], hp["epochs"]) == (64, 3.0)


def test_unknown_parameter_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown parameter 'learning_rte'[\s\S]*did you mean 'learning_rate'"):
        from_strings(FinetuneConfig, {"learning_rte": "1"})


@pytest.mark.parametrize("text", ["fast", "1,5", ""])
def test_a_text_that_is_no_number(text: str):
    if not text:
        assert from_strings(FinetuneConfig, {"learning_rate": text}) == FinetuneConfig()
        return
    with pytest.raises(ConfigError, match=rf"learning_rate='{text}' is not a number"):
        from_strings(FinetuneConfig, {"learning_rate": text})


def test_a_fraction_where_a_whole_number_is_needed():
    with pytest.raises(ConfigError, match=r"lora_r='1\.5' is not a whole number"):
        from_strings(FinetuneConfig, {"lora_r": "1.5"})


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "-1e-3", "above 0"),
        ("learning_rate", "nan", "finite"),
        ("epochs", "inf", "finite"),
        ("lora_r", "0", "at least 1"),
        ("lora_dropout", "0.95", "at most 0.9"),
        ("max_length", "4", "at least 8"),
        ("probe_steps", "1", "at least 2"),
    ],
)
def test_values_out_of_range(name: str, text: str, rule: str):
    with pytest.raises(ConfigError, match=rf"{name}=[\s\S]*out of range[\s\S]*{rule}"):
        from_strings(FinetuneConfig, {name: text})


def test_unknown_choice_names_the_nearest():
    with pytest.raises(ConfigError, match=r"lr_scheduler='cosin' is unknown[\s\S]*did you mean 'cosine'"):
        from_strings(FinetuneConfig, {"lr_scheduler": "cosin"})


def test_unknown_entry_of_a_list_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown entry 'statc'[\s\S]*did you mean 'static'"):
        from_strings(FinetuneConfig, {"tiers": "statc,embed"})


def test_true_and_false_in_the_spellings_of_yaml_and_shells():
    @dataclasses.dataclass(frozen=True)
    class Switch:
        on: bool = dataclasses.field(default=False, metadata={"help": "h"})

    assert [from_strings(Switch, {"on": t}).on for t in ("true", "Yes", "1", "False", "no")] == [True] * 3 + [False] * 2
    with pytest.raises(ConfigError, match="not true or false"):
        from_strings(Switch, {"on": "maybe"})


def test_a_config_made_in_python_is_checked_by_the_same_rules():
    with pytest.raises(ConfigError, match="out of range"):
        check(
            FinetuneConfig(hyperparameters=dataclasses.replace(hyperparameters(), training=Training(learning_rate=0.0)))
        )


def test_tiers_come_back_cheapest_first():
    assert finetune_config(tiers="train, static").probe.tier_list == ("static", "train")


def test_every_parameter_says_what_it_does_and_has_one_name():
    assert all(parameter.help for parameter in parameters_of(FinetuneConfig).values())
    assert set(parameters_of(FinetuneConfig)) == set(FinetuneConfig().values())


def test_hash_does_not_depend_on_the_order_of_keys():
    assert canonical_hash({"a": 1, "b": 2.5}) == canonical_hash({"b": 2.5, "a": 1}) != canonical_hash({"a": 1, "b": 2})


def test_catalog_finds_names_and_says_what_was_meant():
    catalog: Catalog[int] = Catalog("number")
    catalog.register("one")(1)
    assert catalog.get("one") == 1
    assert "one" in catalog
    with pytest.raises(ConfigError, match=r"unknown number 'onne'[\s\S]*did you mean 'one'"):
        catalog.get("onne")
    with pytest.raises(ConfigError, match=r"fix: known: one"):
        catalog.get("zzz")
    with pytest.raises(ValueError, match="registered twice"):
        catalog.add("one", 2)
