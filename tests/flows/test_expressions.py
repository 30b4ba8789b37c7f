"""An expression as the dataset of a run: its name, its family, its rows, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.data import load
from predictor.errors import RegistryError
from predictor.flows.predict import PredictConfig, Ranking, rank_candidates
from predictor.flows.probe import probe_dataset
from predictor.progress import Progress
from predictor.table.groups import dataset_groups
from predictor.trial.config import finetune_config


class Heard(Progress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, name: str, total: int = 0) -> None:
        pass

    def advance(self, steps: int = 1, **values: float | str) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def files(store: str, tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    write_squad(tmp_path / "data" / "train.json", qa_rows(40))
    write_squad(tmp_path / "data" / "eval.json", qa_rows(40, start=100))
    return tmp_path


def test_a_run_on_an_expression_is_named_after_it_and_known_by_its_rows(files: Path, store: str):
    from mlflow import MlflowClient

    heard, name = Heard(), "spoil:irrelevant_context:dial=1:data/train.json"
    records = [
        probe_dataset(
            finetune_config(dataset=dataset, eval_dataset="slice:rows=0-29:data/eval.json", tiers="static"),
            heard,
        )
        for dataset in (name, "data/train.json")
    ]
    spoilt, clean = records
    assert (spoilt.dataset, spoilt.family) == (name, "spoil:irrelevant_context")
    assert (clean.dataset, clean.family) == ("data/train.json", "")
    assert spoilt.dataset_fingerprint == load(name).fingerprint != clean.dataset_fingerprint
    assert spoilt.probe["answer_in_context_rate"] < clean.probe["answer_in_context_rate"]
    groups = dataset_groups({record.dataset: "".join(record.row_sketch) for record in records})
    assert len(set(groups.values())) == 1
    assert f"{name}: 40 of 40 rows are spoilt" in heard.notes
    run = MlflowClient(store).get_run(spoilt.run_id)
    inputs = {entry.dataset.name for entry in run.inputs.dataset_inputs}
    assert inputs == {"spoil:irrelevant_context:dial=1:train.json", "slice:rows=0-29:eval.json"}
    assert run.info.run_name == "probe spoil:irrelevant_context:dial=1:train.json"


def test_a_dial_of_zero_is_the_same_dataset_to_the_table(files: Path, store: str):
    names = ("spoil:wrong_answers:dial=0:data/train.json", "data/train.json")
    one, other = (
        probe_dataset(finetune_config(dataset=name, eval_dataset="data/eval.json", tiers="static")) for name in names
    )
    assert one.dataset_fingerprint == other.dataset_fingerprint
    assert one.config_hash == other.config_hash
    assert one.probe == other.probe


def test_a_mixture_in_brackets_is_one_candidate(files: Path, store: str):
    from mlflow import MlflowClient

    candidates = "data/train.json,(mix:1:data/train.json,1:data/eval.json)"
    with pytest.raises(RegistryError):  # there is no predictor, which is found out when the candidates are counted
        rank_candidates(PredictConfig(ranking=Ranking(candidates=candidates)))
    client = MlflowClient(store)
    names = [run.info.run_name for run in client.search_runs([e.experiment_id for e in client.search_experiments()])]
    assert names == ["rank 2 candidates"]
