"""The whole story on a small scale: real fine-tunes of the embedded base, a predictor, a ranking, and who was right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import ConfigError, PredictorError, TableError
from predictor.flows import main
from predictor.flows import real as real_flow
from predictor.flows.finetune import finetune
from predictor.flows.main import QuickstartConfig, QuickstartResult, quickstart
from predictor.flows.predict import PredictConfig, Ranking, rank_candidates
from predictor.flows.real import RealConfig, real
from predictor.flows.sweep import SweepConfig, sweep
from predictor.meta.scores import spearman
from predictor.schema import keys
from predictor.tracking import read_record, read_records
from predictor.tracking.exchange import export_records
from predictor.trial.config import FinetuneConfig, finetune_config
from tests.conftest import open_store

pytestmark = pytest.mark.usefixtures("one_thread")

HJ = {"max_steps": 6, "batch_size": 16, "learning_rate": 1e-2, "lora_dropout": 0.0}
SMALL = {**HJ, "tiers": "static", "eval_limit": 50, "dev_limit": 0}
TEACHERS = tuple(
    f"lab:{family}:dial={dial}:size=96:seed={seed}"
    for seed, (family, dial) in enumerate(
        [("wrong_answers", 0), ("wrong_answers", 1), ("verbose_answers", 0.1), ("verbose_answers", 1),
         ("truncated_answers", 0.9), ("foreign_characters", 1), ("swapped_answers", 0), ("swapped_answers", 1)],
        start=301,
    )
)  # fmt: skip
CANDIDATES = ("lab:wrong_answers:dial=0.1:size=96:seed=401", "lab:foreign_characters:dial=0.9:size=96:seed=402")


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def runs(empty_store: Path, tmp_path_factory, patch: pytest.MonkeyPatch) -> Path:
    """Fine-tunes of the teachers, in a file."""
    folder = tmp_path_factory.mktemp("before")
    open_store(empty_store, folder, patch)
    for dataset in TEACHERS:
        finetune(finetune_config(dataset=dataset, **SMALL), experiment="made before")
    export_records(["made before"], folder / "runs.parquet")
    return folder / "runs.parquet"


@pytest.fixture(scope="module")
def story(empty_store: Path, tmp_path_factory, patch: pytest.MonkeyPatch, runs: Path) -> QuickstartResult:
    open_store(empty_store, tmp_path_factory.mktemp("story"), patch)
    patch.setattr(main, "_CANDIDATES", CANDIDATES)
    patch.setattr(main, "_HJ", HJ)
    return quickstart(QuickstartConfig(runs=str(runs), force=True))


def test_the_story_predicts_before_and_measures_after(story: QuickstartResult):
    assert story.taught == len(TEACHERS)
    assert story.promotion.stage == "Production"
    assert {v.candidate for v in story.verdicts} == set(CANDIDATES)
    predicted = [v.predicted for v in story.verdicts]
    assert predicted == sorted(predicted, reverse=True)
    measured = {r.dataset: r.scores["exact_match"] for r in read_records()}
    assert {v.candidate: v.actual for v in story.verdicts} == {name: measured[name] for name in CANDIDATES}
    # So few teachers may predict the same for all candidates: their order is then unknown, and said to be.
    ranks = spearman(np.array([v.actual for v in story.verdicts]), np.array(predicted))
    np.testing.assert_equal(story.spearman, ranks)
    assert sum(r.dataset in CANDIDATES for r in read_records()) == len(CANDIDATES), "ranked before they were fine-tuned"


def _ranking(candidates: str, **more: object) -> PredictConfig:
    return PredictConfig(Ranking(candidates=candidates, **more), finetune_config(**SMALL))  # type: ignore[arg-type]


def test_a_ranking_probes_each_candidate_with_each_hj_and_says_why(story: QuickstartResult, tmp_path: Path):
    (tmp_path / "grid.json").write_text(json.dumps({"learning_rate": [1e-3, 1e-2]}))
    result = rank_candidates(_ranking(f"{CANDIDATES[0]},absent.json", grid=str(tmp_path / "grid.json")))
    table = result.ranking
    assert list(table["rank"]) == [1, 2, 3, 4]
    assert sorted(table["candidate"][:2]) == [f"{CANDIDATES[0]} learning_rate={rate}" for rate in (0.001, 0.01)]
    assert result.failed == 2
    assert all("absent.json" in error for error in table["error"][2:])
    assert (table["lower"][:2] <= table["prediction"][:2]).all()
    probes = [r for r in read_records(kind=keys.KIND_PROBE, parent=result.run_id) if r.complete]
    assert {r.hp["learning_rate"] for r in probes} == {1e-3, 1e-2}
    assert read_record(result.run_id).kind == keys.KIND_PREDICT


@pytest.mark.parametrize("fault", [MemoryError(), OSError("disk full"), RuntimeError("CUDA out of memory\nTried to")])
def test_a_candidate_that_fails_for_whatever_reason_leaves_the_ranking_whole(
    story: QuickstartResult, monkeypatch: pytest.MonkeyPatch, fault: Exception
):
    from predictor.flows import probe

    plain = probe.probe_dataset

    def faulty(config: FinetuneConfig, *args: object):
        if config.data.dataset == CANDIDATES[0]:
            raise fault
        return plain(config, *args)

    monkeypatch.setattr(probe, "probe_dataset", faulty)
    table = rank_candidates(_ranking(",".join(CANDIDATES))).ranking
    assert list(table["candidate"]) == [CANDIDATES[1], CANDIDATES[0]]
    assert table["error"][0] == ""
    assert (
        table["error"][1]
        == {
            MemoryError: "MemoryError",
            OSError: "OSError: disk full",
            RuntimeError: "RuntimeError: CUDA out of memory Tried to",
        }[type(fault)]
    )


def test_an_interruption_ends_a_ranking(story: QuickstartResult, monkeypatch: pytest.MonkeyPatch):
    from predictor.flows import probe

    def interrupted(*args: object):
        raise KeyboardInterrupt

    monkeypatch.setattr(probe, "probe_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rank_candidates(_ranking(",".join(CANDIDATES)))


def test_a_ranking_of_nothing_that_can_be_probed_is_an_error(story: QuickstartResult):
    with pytest.raises(PredictorError, match="none of 1 candidates could be probed"):
        rank_candidates(_ranking("absent.json"))
    with pytest.raises(PredictorError, match="no candidate is named"):
        rank_candidates(_ranking(""))


def test_a_ranking_of_which_nothing_is_said_is_made_like_the_runs_that_taught(story: QuickstartResult):
    result = rank_candidates(PredictConfig(Ranking(candidates=CANDIDATES[0])))
    taught = next(r for r in read_records() if r.run_id in story.meta.table.run_ids[0])
    [probe] = read_records(kind=keys.KIND_PROBE, parent=result.run_id)
    for name in ("eval_limit", "dev_limit", "probe_steps", "eval_fingerprint", "base_model", "task", "method"):
        assert getattr(probe, name) == getattr(taught, name), name
    assert (probe.eval_limit, probe.dev_limit) == (50, 0)
    assert not [name for name in probe.costs if name.startswith("probe_") and name != "probe_static_s"]
    assert probe.family == "wrong_answers"
    said = PredictConfig(Ranking(candidates=CANDIDATES[0]), finetune_config(eval_limit=60))
    assert rank_candidates(said).ranking["unusual_feature"].tolist() == ["eval_limit"]


def test_a_sweep_begins_with_what_the_predictor_is_least_sure_of(story: QuickstartResult, tmp_path: Path):
    from predictor.flows.predict import load_predictor
    from predictor.progress import SILENT
    from predictor.sweep import SAMPLERS, read_plan
    from predictor.sweep.interest import interest_of
    from predictor.sweep.samplers import Setting

    plan = {"datasets": list(CANDIDATES), "hp": {"learning_rate": [1e-3, 1e-2]}}
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "tiers": "static", "eval_limit": 50, "dev_limit": 0}))
    result = sweep(
        SweepConfig(plan=str(tmp_path / "plan.json"), sampler="suggest", dry_run=True), experiment="suggested"
    )
    assert (result.outlook.runs, result.tally) == (4, None)
    plan = read_plan(str(tmp_path / "plan.json"))
    predictor = load_predictor(stage="Production", version=None, name="finetune-predictor")
    interest = interest_of(predictor.predict, predictor.bundle.target.sign, plan, SILENT)
    sampler = SAMPLERS.get("suggest")(Setting(plan, None, (), interest))
    order = []
    while (point := sampler.ask()) is not None:
        order.append(point)
    values = interest(order)
    assert len(order) == 4
    assert values == sorted(values, reverse=True)
    assert max(values) > 0


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of question files, as a user has one."""
    from predictor.trial.materials import gather

    named = {
        "train": TEACHERS[0],
        "eval": "lab:size:size=60:seed=403",
        **{f"teacher-{place}": name for place, name in enumerate(CANDIDATES)},
        "third": "lab:verbose_answers:dial=0.5:size=96:seed=404",
    }
    for name, dataset in named.items():
        rows = gather(finetune_config(dataset=dataset, **SMALL)).train
        kept = [{"context": r.context, "question": r.question, "answer": r.answers[0]} for r in rows]
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    return tmp_path


def test_the_real_story_ranks_files_and_fine_tunes_the_best_and_the_worst(
    empty_store: Path, runs: Path, files: Path, monkeypatch: pytest.MonkeyPatch
):
    (files / "store").mkdir()
    open_store(empty_store, files / "store", monkeypatch)
    monkeypatch.setattr(real_flow, "_BASE", "lab")
    monkeypatch.setattr(real_flow, "_HJ", HJ)
    monkeypatch.setattr(real_flow, "_SCORED", {"eval_limit": 50, "dev_limit": 0, "probe_steps": 3, "tiers": "static"})
    names = ["teacher-0.json", "third.json", "teacher-1.json"]
    config = {"data": str(files), "train": "train.json", "eval": "eval.json", "candidates": ",".join(names)}
    result = real(RealConfig(**config, rows=32, runs=str(runs)))
    assert result.first.dataset.startswith("slice:size=32:")
    assert result.taught == len(TEACHERS)
    assert [verdict.actual is None for verdict in result.verdicts] == [False, True, False]
    predicted = [verdict.predicted for verdict in result.verdicts]
    assert predicted == sorted(predicted, reverse=True)
    measured = {r.dataset: r.scores["exact_match"] for r in read_records()}
    for verdict in (result.verdicts[0], result.verdicts[-1]):
        assert measured[verdict.candidate] == verdict.actual
        assert f"{verdict.actual:.2f} ±" in verdict.line(20)
    assert result.verdicts[1].line(20).endswith("not fine-tuned")


def test_what_the_real_story_lacks_is_told_before_anything_is_run(tmp_path: Path):
    with pytest.raises(ConfigError, match="the folder with real data is not named"):
        real(RealConfig())
    with pytest.raises(ConfigError, match=r"there is no such file\n  where: .*squad/train.json"):
        real(RealConfig(data=str(tmp_path)))
    with pytest.raises(ConfigError, match="1 candidates"):
        real(RealConfig(data=str(tmp_path), candidates="one.json"))


def test_runs_stay_out_by_the_names_of_their_datasets(
    empty_store: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from predictor.flows.import_runs import ImportRunsConfig, import_runs

    open_store(empty_store, tmp_path, monkeypatch)
    without = ImportRunsConfig(file=str(runs), without="wrong_answers,dial=1:")
    assert import_runs(without, experiment="some") == (3, 0)
    assert not any("wrong_answers" in r.dataset or "dial=1:" in r.dataset for r in read_records(["some"]))
    assert import_runs(ImportRunsConfig(file=str(runs)), experiment="some") == (len(TEACHERS) - 3, 3)
    with pytest.raises(TableError, match="none of its 8 runs is left"):
        import_runs(ImportRunsConfig(file=str(runs), without="lab:"), experiment="some")
