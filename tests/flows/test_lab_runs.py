"""Runs out of a store, into a file, into another store: the same to the bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.synthetic_runs import record
from predictor.errors import ConfigError, SchemaError, TableError
from predictor.flows.import_runs import ImportRunsConfig, import_runs
from predictor.runs import ABOUT, runs_path
from predictor.schema import RunRecord, encode, keys
from predictor.schema.archive import read_archive, write_archive
from predictor.tracking import read_records, tracked_run
from predictor.tracking.exchange import export_records


def _records() -> list[RunRecord]:
    odd = {"initial_loss": 0.1 + 0.2, "not_defined": float("nan"), "huge": 1.7976931348623157e308}
    return [
        record(
            config_hash="a",
            run_id="1",
            start_time=1_700_000_000_000,
            probe=odd,
            row_sketch=("0123456789", "abcdef0123"),
        ),
        record(
            config_hash="b",
            row_sketch=(),
            run_id="2",
            start_time=1_700_000_000_001,
            hp={"learning_rate": 3e-3, "lora_r": 4},
        ),
    ]


def _same(left: RunRecord, right: RunRecord) -> bool:
    def key(r: RunRecord) -> str:
        return json.dumps(dataclasses.asdict(dataclasses.replace(r, run_id="")), sort_keys=True, default=dict)

    return key(left) == key(right)


def test_an_archive_gives_back_what_was_written(tmp_path: Path):
    path = tmp_path / "runs.parquet"
    write_archive(path, _records(), [{"seed": 1}, {}], {"date": "2026-01-01"})
    archive = read_archive(path)
    assert all(_same(a, b) for a, b in zip(archive.records, _records(), strict=True))
    assert archive.configs == ({"seed": 1}, {})
    assert archive.about == {"date": "2026-01-01", keys.TAG_SCHEMA: "1"}


def test_sizes_that_runs_were_written_without_are_those_of_their_configurations(tmp_path: Path):
    path = tmp_path / "runs.parquet"
    written = [dataclasses.replace(_records()[0], dev_limit=4), _records()[1], _records()[1]]
    configs = [{"dev_limit": 8, "eval_limit": 1000}, {"evaluation": {"dev_limit": 8}, "probe": {"probe_steps": 6}}, {}]
    write_archive(path, written, configs, {})
    sizes = [(r.dev_limit, r.eval_limit, r.probe_steps, r.train_limit) for r in read_archive(path).records]
    assert sizes == [(4, 1000, None, None), (8, None, 6, None), (None, None, None, None)]


@pytest.mark.parametrize("content", [b"", b"not parquet"])
def test_another_file_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "runs.parquet").write_bytes(content)
    with pytest.raises(SchemaError, match="the file is no archive of runs"):
        read_archive(tmp_path / "runs.parquet")
    with pytest.raises(SchemaError, match="the file is no archive of runs"):
        read_archive(tmp_path / "absent.parquet")


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(keys, "SCHEMA_VERSION", 7)
        write_archive(tmp_path / "runs.parquet", _records(), [{}, {}], {})
    with pytest.raises(SchemaError, match="written with schema version 7"):
        read_archive(tmp_path / "runs.parquet")


def test_imported_runs_are_those_of_the_file_and_are_imported_once(tmp_path: Path, store: str):
    path = tmp_path / "runs.parquet"
    write_archive(path, _records(), [{}, {}], {})
    config = ImportRunsConfig(file=str(path))
    assert import_runs(config, experiment="lab") == (2, 0)
    assert import_runs(config, experiment="lab") == (0, 2)
    found = read_records(["lab"])
    assert all(_same(a, b) for a, b in zip(found, _records(), strict=True))
    assert all(r.ineligible("score/exact_match") is None for r in found)


def test_exported_runs_are_the_complete_ones_with_their_configuration(tmp_path: Path, store: str):
    for number in (1, 2):
        values = record(config_hash="a" if number == 1 else "b")
        with tracked_run(keys.KIND_FINETUNE, experiment="lab") as run:
            run.describe(params=encode(values).params)
            (run.artifacts / "config.json").write_text(json.dumps({"seed": number}))
            run.finish_record(values)
    with tracked_run(keys.KIND_FINETUNE, experiment="lab"):
        pass  # incomplete
    assert export_records(["lab"], tmp_path / "runs.parquet") == 2
    archive = read_archive(tmp_path / "runs.parquet")
    assert archive.configs == ({"seed": 1}, {"seed": 2})
    assert (archive.about["runs"], archive.about["base_model_digest"]) == ("2", "bd")
    with tracked_run(keys.KIND_FINETUNE, experiment="lab") as run:
        values = record(config_hash="c", base_model_digest="another")
        run.describe(params=encode(values).params)
        run.finish_record(values)
    with pytest.raises(TableError, match="3 runs of 2 base models"):
        export_records(["lab"], tmp_path / "runs.parquet")


def test_an_archived_configuration_can_be_run_again(tiny_base: Path, tmp_path: Path, store: str, one_thread):
    from benchmarks.tiny import qa_rows, write_squad
    from predictor.flows.finetune import finetune
    from predictor.trial.config import config_of, finetune_config

    write_squad(tmp_path / "a.json", qa_rows(8))
    write_squad(tmp_path / "e.json", qa_rows(6, start=90))
    config = finetune_config(
        dataset="a.json", eval_dataset="e.json", base_model=str(tiny_base), epochs=1.0, batch_size=8, tiers="static"
    )
    first = finetune(config, experiment="lab")
    export_records(["lab"], tmp_path / "runs.parquet")
    (again,) = read_archive(tmp_path / "runs.parquet").configs
    stored = config_of({**again, "a_field_of_another_version": 1})
    assert stored == config
    second = finetune(stored, experiment="again")
    assert (second.config_hash, second.scores) == (first.config_hash, first.scores)


def test_a_set_that_does_not_come_with_the_package_is_refused_with_those_that_do(store: str):
    with pytest.raises(ConfigError, match="no runs of this name come with the package: 'labs'") as caught:
        import_runs(ImportRunsConfig(set="labs"), experiment="lab")
    assert caught.value.rule == "one of: lab, minilm, smollm2"
    assert all(runs_path(name).is_file() for name in ABOUT)
