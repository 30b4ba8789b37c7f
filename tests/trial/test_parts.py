"""What is learnt from and scored on where no evaluation file is named: the parts of the data, or what is held out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.tiny import labelled_rows, write_labelled
from predictor.data import Example, stratified_hold_out
from predictor.errors import DataError
from predictor.trial.config import finetune_config
from predictor.trial.materials import Materials, gather, keep_unused


def gathered(source: Path | str, **values: object) -> Materials:
    return gather(finetune_config(task="classification", dataset=str(source), **values))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set"
    made.mkdir()
    for name, count, start in (("train", 60, 0), ("dev", 20, 100), ("test", 30, 200)):
        write_labelled(made / f"{name}.jsonl", labelled_rows(count, start))
    return made


def test_a_folder_is_scored_on_its_test_part_and_developed_on_its_validation_part(folder: Path):
    found = gathered(folder)
    assert (len(found.train), len(found.dev), len(found.scored)) == (60, 20, 30)
    assert found.scored[0].text == labelled_rows(1, 200)[0][0]
    assert found.leaked == 0
    assert len(gathered(folder, eval_limit=10).scored) == 10
    assert gathered(folder, dev_limit=0).dev == ()


def test_without_a_validation_part_a_stratified_share_of_the_rows_is_held_out(folder: Path):
    (folder / "dev.jsonl").unlink()
    found = gathered(folder)
    assert (len(found.train), len(found.dev), len(found.scored)) == (52, 8, 30)  # four of each class
    assert not {row.text for row in found.train} & {row.text for row in found.dev}
    assert any("8 training rows are held out" in note for note in found.notes)
    assert gathered(folder, seed=5).dev == found.dev


def test_a_single_file_gives_training_development_and_scored_rows(folder: Path):
    found = gathered(folder / "train.jsonl")
    assert len(found.train) + len(found.dev) + len(found.scored) == 60
    assert len(found.scored) == 8
    texts = [row.text for row in (*found.train, *found.dev, *found.scored)]
    assert len(set(texts)) == 60
    assert "there is no test part: 8 training rows are held out and scored" in found.notes


def test_a_spoilt_folder_is_scored_on_its_own_rows(folder: Path):
    name = f"spoil:wrong_labels:dial=1:{folder}"
    found, plain = gathered(name), gathered(folder)
    assert found.scored == plain.scored
    assert found.dev == plain.dev
    assert all(spoilt.label != clean.label for spoilt, clean in zip(found.train, plain.train, strict=True))
    (folder / "dev.jsonl").unlink()
    found = gathered(name, dev_limit=6)
    assert (len(found.train), len(found.dev), len(found.scored)) == (60, 6, 24)


def test_what_repeats_is_told(folder: Path, tmp_path: Path):
    rows = [*labelled_rows(40), ("Rome Rome Rome in note 0", "name"), ("Ada Ada Ada in note 1", "name")]
    write_labelled(folder / "train.jsonl", [*rows, labelled_rows(1, 200)[0]])
    notes = keep_unused(gathered(folder), tmp_path)
    assert "2 of 43 training rows repeat the text of another" in notes
    assert "1 texts stand in the training rows under more than one class" in notes
    assert any("1 of 43 training rows are also questions of the evaluation" in note for note in notes)


def test_columns_can_be_named(tmp_path: Path):
    rows = "".join(f'"{text}",x,{label}\n' for text, label in labelled_rows(40))
    (tmp_path / "a.csv").write_text("body,other,kind\n" + rows)
    found = gathered(tmp_path / "a.csv", text_column="body", label_column="kind")
    assert found.task.labels == ("name", "town")
    assert gathered(tmp_path / "a.csv", text_column="other,body", label_column="kind").train[0].text.startswith("x\n")
    with pytest.raises(DataError, match=r"no sampled row is in the format 'classification'|refused"):
        gathered(tmp_path / "a.csv", text_column="body", label_column="sort")


def test_what_is_held_out_keeps_strata_and_equal_texts_together():
    rows = [Example(id=f"{i}", text=f"t{i % 45}", label="a" if i % 3 else "b") for i in range(90)]
    kept, held = stratified_hold_out(rows, 0.2, 0, lambda row: row.label or "")
    assert len(kept) + len(held) == 90
    assert not {row.text for row in kept} & {row.text for row in held}
    shares = Counter(row.label for row in held)
    assert shares["a"] == pytest.approx(12, abs=1)
    assert shares["b"] == pytest.approx(6, abs=1)
    assert stratified_hold_out(rows, 0.2, 0, lambda row: row.label or "") == (kept, held)
    assert stratified_hold_out(rows, 0.2, 1, lambda row: row.label or "")[1] != held
    only = [Example(id="a", text="one", label="a"), Example(id="b", text="two", label="b")]
    assert stratified_hold_out(only, 0.5, 0, lambda row: row.label or "") == (tuple(only), ())
