from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.synthetic_runs import record, records, row_hash
from predictor.errors import ConfigError, TableError
from predictor.runs import runs_path
from predictor.schema import RunRecord
from predictor.schema.archive import read_archive
from predictor.table import Table, as_frame, build, feature_row
from predictor.table.taught import Taught


def test_only_hp_and_probe_become_features() -> None:
    row = feature_row(record())
    assert set(row) == {
        "hp/learning_rate",
        "hp/lora_r",
        "hp/method",
        "hp/target_modules",
        "probe/initial_loss",
        "probe/zero_shot_exact_match",
    }
    table = build(records(12))
    assert all(name.startswith(("hp/", "probe/")) for name in table.schema.names)
    assert not any("seed" in name or "score" in name for name in table.schema.names if name.startswith("hp/"))


def test_runs_that_may_not_teach_are_counted_by_reason() -> None:
    bad = [
        record(status="FAILED"),
        record(status="FAILED"),
        record(complete=False),
        record(kind="probe"),
        record(scores={"exact_match": math.nan}),
        record(scores={"f1": 0.5}),
    ]
    table = build(records(12) + bad)
    assert len(table) == 12
    assert table.skipped == {
        "status is FAILED": 2,
        "results are incomplete": 1,
        "kind is probe": 1,
        "score/exact_match is not finite": 1,
        "has no score/exact_match": 1,
    }


def test_no_eligible_run_says_what_was_skipped_and_why() -> None:
    with pytest.raises(TableError, match="none of 3 runs") as caught:
        build([record(status="FAILED"), record(status="FAILED"), record(complete=False)], source="experiment x")
    assert "1 x results are incomplete; 2 x status is FAILED" in str(caught.value)
    assert "experiment x" in str(caught.value)


def test_an_empty_store_says_what_to_do() -> None:
    with pytest.raises(TableError, match="none of 0 runs") as caught:
        build([])
    assert "run `finetune` first" in str(caught.value)


def test_too_few_runs() -> None:
    with pytest.raises(TableError, match="only 7 usable rows") as caught:
        build([*records(7), record(status="FAILED")])
    assert "at least 8" in str(caught.value)
    assert "1 x status is FAILED" in str(caught.value)


def test_a_constant_target() -> None:
    same = [record(run_id=str(i), dataset_fingerprint=str(i), row_sketch=(row_hash(i),)) for i in range(10)]
    with pytest.raises(TableError, match=r"score/exact_match is 0.5 in all 10 rows"):
        build(same)


def test_a_target_that_is_no_score() -> None:
    with pytest.raises(ConfigError, match="target 'train/loss'"):
        build(records(12), target="train/loss")


def test_seeds_are_averaged_and_their_spread_is_the_noise() -> None:
    runs = []
    for i in range(10):
        for seed, offset in ((1, -0.02), (2, 0.02)):
            runs.append(
                record(
                    run_id=f"{i}-{seed}",
                    seed=seed,
                    dataset_fingerprint=f"f{i}",
                    row_sketch=(row_hash(f"s{i}"),),
                    probe={"initial_loss": 1.0 + offset},
                    scores={"exact_match": 0.3 + 0.01 * i + offset, "n": 400.0},
                )
            )
    table = build(runs)
    assert len(table) == 10
    assert table.run_ids[0] == ("0-1", "0-2")
    assert table.y == pytest.approx(0.3 + 0.01 * np.arange(10))
    assert table.rows["probe/initial_loss"].to_numpy() == pytest.approx(1.0)
    assert table.noise.seed == pytest.approx(0.02 * math.sqrt(2))
    assert table.noise.sampling == pytest.approx(math.sqrt(0.35 * 0.65 / 400), rel=0.1)
    each = build(runs, average_seeds=False)
    assert len(each) == 20
    assert np.isnan(each.noise.seed)


def test_only_a_share_gets_an_error_that_no_run_has_measured() -> None:
    runs = [
        dataclasses.replace(each, scores={**each.scores, "f1": each.scores["exact_match"], **told})
        for each, told in zip(records(12), [{"f1_se": 0.03}] * 6 + [{}] * 6, strict=True)
    ]
    share, mean = build(runs), build(runs, "score/f1")
    assert share.sampling_se == pytest.approx(np.sqrt(share.y * (1 - share.y) / 200))
    assert mean.sampling_se[:6].tolist() == [0.03] * 6
    assert np.isnan(mean.sampling_se[6:]).all()


def test_a_target_that_no_task_declares() -> None:
    with pytest.raises(ConfigError, match="no task declares the target 'score/exakt_match'") as caught:
        build(records(12), "score/exakt_match")
    assert "did you mean 'score/exact_match'?" in str(caught.value)


def _mixed(count: int) -> list[RunRecord]:
    """Runs in no order, with one seed or several, different sets of features, and values that are not known."""
    rng = np.random.default_rng(0)
    runs = []
    for i in range(count):
        d, rate = int(rng.integers(6)), float(rng.choice([1e-4, 1e-3]))
        probe = {f"p{k}": float(rng.choice([rng.normal(), math.nan])) for k in range(5) if rng.random() < 0.7}
        scores = {"exact_match": float(rng.random()), "n": float(rng.choice([0, 50]))}
        if rng.random() < 0.3:
            scores["exact_match_se"] = 0.01
        parts = {name: float(rng.random()) for name in ("a_s", "b_s", "peak_mb", "total_s") if rng.random() < 0.5}
        named = {"dataset_fingerprint": f"f{d}"} if d else {"dataset_fingerprint": "", "dataset": f"f{i % 2}"}
        status = "FINISHED" if rng.random() < 0.9 else "FAILED"
        hp = {"learning_rate": rate, **({"lora_r": 8} if d % 2 else {})}
        runs.append(record(run_id=str(i), hp=hp, probe=probe, scores=scores, costs=parts, status=status, **named))
    return runs


def test_the_table_is_that_of_its_runs_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the rules written out for single records, in blocks of any size."""
    runs = _mixed(60)
    units: dict[tuple[object, ...], list[RunRecord]] = {}
    for run in runs:
        if run.status == "FINISHED":
            units.setdefault((run.dataset_fingerprint or run.dataset, *sorted(run.hp.items())), []).append(run)

    def mean(values: list[float]) -> float:
        known = [value for value in values if math.isfinite(value)]
        return sum(known) / len(known) if known else math.nan

    def price(run: RunRecord) -> float:
        parts = [value for name, value in run.costs.items() if name.endswith("_s")]
        return run.costs.get("total_s", sum(parts) if parts else math.nan)

    def sampling_se(run: RunRecord) -> float:
        p, n = run.scores["exact_match"], run.scores["n"]
        return run.scores.get("exact_match_se", math.sqrt(p * (1 - p) / n) if n else math.nan)

    for block in (1, 3, 4096):
        monkeypatch.setitem(build.__globals__, "_BLOCK", block)
        table = build(runs)
        assert table.run_ids == tuple(tuple(run.run_id for run in unit) for unit in units.values())
        assert {1, 2, 3} <= set(table.seeds.tolist())
        for row, unit in enumerate(units.values()):
            rows = [feature_row(run) for run in unit]
            expected = {name: mean([each.get(name, math.nan) for each in rows]) for name in table.rows.columns}
            found = table.rows.iloc[row].to_dict()
            assert found == pytest.approx(expected, nan_ok=True)
            scores = np.array([run.scores["exact_match"] for run in unit])
            assert table.y[row] == pytest.approx(scores.mean())
            spread = scores.std(ddof=1) if len(unit) > 1 else math.nan
            assert table.seed_sd[row] == pytest.approx(spread, nan_ok=True)
            assert table.price[row] == pytest.approx(np.mean([price(run) for run in unit]), nan_ok=True)
            assert table.sampling_se[row] == pytest.approx(np.mean([sampling_se(run) for run in unit]), nan_ok=True)


def test_datasets_that_share_rows_are_one_group() -> None:
    runs = records(10)
    joined = [
        *runs,
        record(
            run_id="x",
            dataset_fingerprint="new",
            row_sketch=(row_hash("0-a"), row_hash("new")),
            scores={"exact_match": 0.9},
        ),
    ]
    table = build(joined)
    labels = dict(zip(["f0", "new"], [table.group[0], table.group[10]], strict=True))
    assert labels["f0"] == labels["new"]
    assert len(set(table.group)) == 10


def test_groups_have_names_for_people() -> None:
    """What the names of a group's datasets have in common, and its label where that is not enough."""
    sketches = {"a": ("1", "2"), "b": ("2", "3"), "c": ("7",), "d": ("8",), "e": ("9",)}
    names = {"a": "lab:size:dial=32", "b": "lab:size:dial=64", "c": "c.json", "d": "same.json", "e": "same.json"}
    runs = [
        dataclasses.replace(each, dataset=names[key], dataset_fingerprint=key, row_sketch=tuple(map(row_hash, sketch)))
        for (key, sketch), each in zip(list(sketches.items()) * 3, records(15), strict=True)
    ]
    table = build(runs, average_seeds=False)
    shown = {table.group_names[label] for label in table.group}
    assert shown == {"lab:size:dial=… (2 datasets)", "c.json", "same.json d", "same.json e"}


def test_digest_follows_features_target_and_order() -> None:
    runs = records(12)
    assert build(runs).digest == build(runs).digest
    assert build(runs).digest != build(runs[::-1]).digest
    changed = dataclasses.replace(runs[0], scores={"exact_match": 0.99})
    assert build(runs).digest != build([changed, *runs[1:]]).digest


def test_a_subset_keeps_the_schema() -> None:
    table = build(records(12))
    part = table.take(np.array([3, 1]))
    assert part.y.tolist() == [table.y[3], table.y[1]]
    assert part.schema == table.schema
    assert part.run_ids == (("run-3",), ("run-1",))
    assert table.select(["probe/initial_loss"]).matrix.shape == (12, 1)


@pytest.mark.parametrize(
    "change", [{"train_limit": 64}, {"probe_steps": 4}, {"dev_limit": 64}, {"eval_limit": 250}, {"method": "full"}]
)
def test_runs_of_other_sizes_or_methods_are_no_seeds_of_each_other(change: dict[str, object]) -> None:
    known = {"train_limit": 0, "probe_steps": 10, "dev_limit": 8, "eval_limit": 1000}
    runs = [dataclasses.replace(each, **known) for each in records(12)]
    other = dataclasses.replace(runs[0], run_id="other", seed=2, **change)
    assert len(build([*runs, dataclasses.replace(runs[0], run_id="other", seed=2)])) == 12
    assert len(build([*runs, other])) == 13


def test_the_method_is_a_feature_where_the_runs_are_of_several() -> None:
    runs = records(12)
    full = [dataclasses.replace(each, method="full") for each in runs[:3]]
    table = build([*full, *runs[3:]])
    assert table.rows["hp/method"].tolist() == ["full"] * 3 + ["lora"] * 9
    served = table.schema.matrix(as_frame([feature_row(full[0]), feature_row(runs[0])]))
    method = table.schema.names.index("hp/method")
    assert served[:, method].tolist() == [0.0, 1.0]
    assert "hp/method" not in build(runs).schema.names


def _families(told: list[str], rows: list[str] | None = None) -> Table:
    """A table of one dataset for each family told; datasets with the same letter in `rows` share a row."""
    runs = records(len(told))
    shared = [(row_hash(r),) for r in rows] if rows else [run.row_sketch for run in runs]
    return build([dataclasses.replace(r, family=f, row_sketch=s) for r, f, s in zip(runs, told, shared, strict=True)])


def test_groups_are_put_together_by_family() -> None:
    table = _families(["x", "x", "y", "y", "z", "z", "z", "z"])
    assert table.families is not None
    assert table.families.tolist() == ["x", "x", "y", "y", "z", "z", "z", "z"]
    assert table.take(np.array([0, 2])).families.tolist() == ["x", "y"]  # type: ignore[union-attr]


def test_a_group_of_several_families_joins_them() -> None:
    """x and y share a row of the first and third dataset; the second and fourth go along."""
    table = _families(["x", "x", "y", "y", "z", "z", "v", "v"], list("abacdefg"))
    assert table.families is not None
    assert table.families.tolist() == ["x + y"] * 4 + ["z"] * 2 + ["v"] * 2
    assert _families(["x", "x", "y", "y", "z", "z", "z", "z"], list("abacdefg")).families is None


def test_without_the_family_of_every_dataset_there_is_no_family_split() -> None:
    some = _families(["x", "y", "z", "z", "z", "", "", "z"])
    assert some.families is None
    assert some.no_families == "the family of 2 of 8 datasets is not known, such as dataset-5.json"
    few = _families(["x"] * 4 + ["y"] * 4)
    assert few.families is None
    assert few.no_families == "the datasets are of fewer than 3 families that share no rows"


def test_the_name_of_a_lab_dataset_tells_its_family_and_a_tag_counts_more() -> None:
    names = ["lab:size:dial=8", "lab:wrong_answers", "lab:easy_only:seed=2", "a.json"] * 2
    runs = [dataclasses.replace(r, dataset=n) for r, n in zip(records(8), names, strict=True)]
    told = [dataclasses.replace(r, family="mine") if r.dataset == "a.json" else r for r in runs]
    assert build(runs).families is None
    assert set(build(told).families) == {"size", "wrong_answers", "easy_only", "mine"}  # type: ignore[arg-type]
    told[0] = dataclasses.replace(told[0], family="other")
    assert build(told).families[0] == "other"  # type: ignore[index]


def test_rows_whose_probe_watched_the_whole_training_are_marked() -> None:
    costs = {"total_s": 1.0, "probe_train_s": 1.0}
    runs = [
        dataclasses.replace(each, probe_steps=10, costs={**costs, "train_steps": float(steps)})
        for each, steps in zip(records(12), [9, 10, 11, *[30] * 9], strict=True)
    ]
    table = build(runs)
    assert table.judged.tolist() == [False, False, *[True] * 10]
    assert table.digest == build(records(12)).digest
    unwatched = [dataclasses.replace(r, costs={"train_steps": 5.0}) for r in runs]
    unknown = [dataclasses.replace(r, probe_steps=None) for r in runs]
    assert build(unwatched).judged.all()
    assert build(unknown).judged.all()
    short = [dataclasses.replace(r, costs={**costs, "train_steps": 5.0}) for r in runs[:5]]
    with pytest.raises(TableError, match="watched the whole training in 5 of 12 rows") as caught:
        build([*short, *runs[5:]])
    assert "a smaller probe_steps" in str(caught.value)


def test_what_taught_is_counted_by_combination() -> None:
    runs = [
        dataclasses.replace(r, dev_limit=8, eval_dataset="e.json", train_limit=i) for i, r in enumerate(records(12))
    ]
    others = [dataclasses.replace(r, run_id=f"o{r.run_id}", dev_limit=64, base_model="big") for r in runs[:3]]
    taught = build([*others, *runs], average_seeds=False).taught
    assert taught.known("dev_limit") == [64, 8]
    assert taught.parameters({}) == {
        "task": "qa", "base_model": "lab", "eval_dataset": "e.json", "dev_limit": 8
    }  # fmt: skip
    assert taught.parameters({"base_model": "big"})["dev_limit"] == 64
    assert taught.parameters({"base_model": "none of them"})["dev_limit"] == 8
    assert Taught.from_json(taught.to_json()) == taught
    assert Taught().parameters({}) == {}
    assert Taught().strange(runs[0]) is None


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, ""),
        ({"base_model": "moved/lab"}, ""),
        ({"base_model_digest": "other"}, "base_model"),
        ({"base_model": "big", "base_model_digest": ""}, "base_model"),
        ({"task": "rating"}, "task"),
        ({"method": "full"}, "method"),
        ({"dev_limit": 64}, "dev_limit"),
        ({"probe_steps": 4}, "probe_steps"),
        ({"probe_steps": None}, ""),
        ({"eval_fingerprint": "other"}, "eval_dataset"),
        ({"eval_fingerprint": "other", "eval_limit": 9}, "eval_limit"),
        ({"eval_limit": 9}, ""),
        ({"encoder_digest": "other"}, "encoder"),
    ],
)
def test_what_is_unlike_all_runs_that_taught_is_named(change: dict[str, object], name: str) -> None:
    known = {"dev_limit": 8, "eval_limit": 100, "probe_steps": 10, "encoder_digest": "en"}
    runs = [dataclasses.replace(each, **known) for each in records(12)]
    found = build(runs).taught.strange(dataclasses.replace(runs[0], **change))
    assert (found.name if found else "") == name


def test_the_packages_runs_are_the_same_table_as_ever() -> None:
    runs = read_archive(runs_path()).records
    table = build(runs)
    assert (table.digest, len(table)) == ("61cb1bdc5ed9e497", 228)
    assert build(runs, average_seeds=False).digest == "bfcc39b2cf456705"
    assert int((~table.judged).sum()) == 31
    assert len(set(table.families)) == 16  # type: ignore[arg-type]
    assert table.taught.parameters({}) == {
        "task": "qa", "base_model": "lab", "eval_dataset": "lab:evaluation", "eval_limit": 1000, "dev_limit": 64,
        "probe_steps": 10,
    }  # fmt: skip


def test_what_was_taken_from_a_cache_counts_in_the_price() -> None:
    runs = records(12)
    cached = {"total_s": 7.0, "probe_forward_s": 0.0, "saved_probe_forward_s": 2.0, "saved_load_s": 1.0}
    runs[3] = dataclasses.replace(runs[3], costs=cached)
    assert build(runs).price.tolist() == [10.0] * 12
