"""How a task becomes known, and what is reported of its scores."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from predictor.catalog import Catalog
from predictor.errors import SchemaError
from predictor.schema import targets as known
from predictor.schema.targets import Target
from predictor.tasks import TaskScores, base, register, reported

ROOT = Path(__file__).parents[2]
LOSS = Target("nll", "how surprised it is", "nats", low=0.0, higher_is_better=False, error="bootstrap")
PEARSON = Target("pearson", "how well they go together", "ratio", low=-1.0, high=1.0, error="bootstrap")
BLEU = Target("bleu", "as the tool says", "points", low=0.0, high=100.0, error="given")
SHARE = Target("share", "how many", low=0.0, high=1.0, error="bernoulli")


class Rating:
    name = "rating"
    targets = (LOSS, PEARSON, BLEU, SHARE)
    headline = "nll"


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "TASKS", Catalog("task"))
    monkeypatch.setattr(known, "TARGETS", Catalog("target"))


@pytest.mark.usefixtures("nothing_known")
def test_a_registered_task_brings_its_targets() -> None:
    assert register(Rating) is Rating
    assert base.TASKS.names() == ["rating"]
    assert known.TARGETS.names() == ["nll", "pearson", "bleu", "share"]
    with pytest.raises(ValueError, match="task 'rating' is registered twice"):
        register(Rating)


@pytest.mark.usefixtures("nothing_known")
def test_a_headline_that_is_no_target_is_refused_and_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match="its headline 'loss' is none of its targets"):
        register(type("Wrong", (Rating,), {"headline": "loss"}))
    assert (base.TASKS.names(), known.TARGETS.names()) == ([], [])


def test_a_new_task_is_one_more_file(tmp_path: Path) -> None:
    for part in ("__init__.py", "errors.py", "catalog.py", "config", "schema", "data", "metrics", "tasks"):
        source, copy = ROOT / "predictor" / part, tmp_path / "predictor" / part
        copy.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    (tmp_path / "predictor" / "tasks" / "rating.py").write_text(
        "from predictor.schema.targets import Target\nfrom predictor.tasks.base import register\n"
        "@register\nclass Rating:\n    name, headline, targets = 'rating', 'nll', (Target('nll', '', 'nats'),)\n"
    )
    code = "from predictor.tasks import TASKS; print('rating' in TASKS.names())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "True\n", done.stderr


def test_each_error_follows_the_rule_of_its_target() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    guess = truth + rng.normal(size=60)
    losses = rng.exponential(size=60)

    def pearson(sample: np.ndarray) -> float:
        return float(np.corrcoef(truth[sample], guess[sample])[0, 1])

    values = {"nll": float(losses.mean()), "pearson": pearson(np.arange(60)), "bleu": 31.0, "share": 0.25}
    scores = TaskScores(values, {"nll": losses.tolist()}, {"pearson": pearson}, {"bleu": 0.7})
    found = reported(Rating(), scores, 60)  # type: ignore[arg-type]
    assert found == reported(Rating(), scores, 60)  # type: ignore[arg-type]
    assert found["n"] == 60.0
    assert found["nll_se"] == pytest.approx(losses.std(ddof=1) / math.sqrt(60), rel=0.1)
    # Fisher's z: the error of a correlation r is about (1 - r²)/√n.
    assert found["pearson_se"] == pytest.approx((1 - values["pearson"] ** 2) / math.sqrt(60), rel=0.3)
    assert found["bleu_se"] == 0.7
    assert found["share_se"] == math.sqrt(0.25 * 0.75 / 60)
    unsaid = TaskScores({"nll": 1.0, "bleu": 31.0}, {"nll": [1.0, 1.0]})
    assert set(reported(Rating(), unsaid, 2)) == {"nll", "bleu", "n", "nll_se"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pearson": 0.1}, "did not score its headline 'nll'"),
        ({"nll": 1.0, "rouge": 0.1}, "scored 'rouge', which it does not declare"),
        ({"nll": -0.1}, "scored nll = -0.1"),
    ],
)
def test_what_a_task_did_not_promise_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        reported(Rating(), TaskScores(values, {"nll": [1.0, 2.0]}), 2)  # type: ignore[arg-type]
