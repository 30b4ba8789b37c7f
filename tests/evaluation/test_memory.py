"""What a base said is kept, holds for the same question to the same model alone, and costs no evaluation its result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from predictor.evaluation.memory import Memory
from predictor.evaluation.pair import Pair
from predictor.models.base_model import load_base_model
from predictor.models.device import detect
from predictor.models.generate import generate
from predictor.probe.forks import Fork, fork_sums
from predictor.trial.evaluated import answers_depend_on


def fail() -> list[list[int]]:
    raise AssertionError("it is computed once more")


def test_the_same_question_is_answered_once(tmp_path: Path):
    memory = Memory(tmp_path / "kept", {"model": "a"})
    rows = [[1, 2], [], [0.1 + 0.2]]
    assert memory.recall({"prompts": [[1]]}, lambda: rows) == (rows, False)
    assert memory.recall({"prompts": [[1]]}, fail) == (rows, True)
    assert memory.recall({"prompts": [[2]]}, lambda: [[3]]) == ([[3]], False)
    assert Memory(tmp_path / "kept", {"model": "b"}).recall({"prompts": [[1]]}, lambda: [[4]]) == ([[4]], False)


@pytest.mark.parametrize("content", ["", "{}", "[[1], 2]", "[[1]", "null", "[[1]]\x00", "\ud800"])
def test_half_a_file_is_computed_anew(tmp_path: Path, content: str):
    memory = Memory(tmp_path, {})
    memory.recall({}, lambda: [[1]])
    [file] = tmp_path.iterdir()
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert memory.recall({}, lambda: [[2]]) == ([[2]], False)
    assert memory.recall({}, fail) == ([[2]], True)


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(RuntimeWarning, match="not kept"):
        assert Memory(tmp_path / "file", {}).recall({}, lambda: [[1]]) == ([[1]], False)


def test_recalled_answers_and_sums_are_those_of_the_base(tiny_base: Path, tmp_path: Path):
    base = load_base_model(str(tiny_base), detect())
    parts = answers_depend_on(base)
    assert parts is not None
    assert parts["model"] == base.model_digest
    pair = Pair(base, base.model, Memory(tmp_path, parts))
    prompts = [base.tokenizer(text)["input_ids"] for text in ("Ada lives in", "Where does Bela live?")]
    forks = [Fork(prompt, [[5, 6], [7]]) for prompt in prompts]
    told: list[int] = []
    for model in (base.model, None):  # the second time no model is asked
        answers = pair.base_answers(model, base.tokenizer, prompts, max_new_tokens=4, on_batch=told.append)
        sums = pair.base_sums(model, forks, pad_id=0, on_batch=told.append)
        assert answers == generate(base.model, base.tokenizer, prompts, max_new_tokens=4)
        for ours, theirs in zip(sums, fork_sums(base.model, forks, pad_id=0), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert sum(told) == 4 * len(prompts)
    assert len(list(tmp_path.iterdir())) == 2
