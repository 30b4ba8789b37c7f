"""Score records as they lie: a folder for each split, a file for each dimension, under whatever names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from predictor.data import load
from predictor.data.detect import FORMATS
from predictor.errors import DataError


def write_scores(folder: Path, **dimensions: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in dimensions.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def row(n: int, score: object, **more: object) -> dict:
    return {"prompt": "Rate it.", "company_info": f"Firm {n} sells lamps.", "think": "", "score": score, **more}


def test_a_folder_with_folders_of_splits_is_read_by_dimension(tmp_path: Path):
    write_scores(tmp_path / "s" / "train", growth=[row(1, 2)], innovation=[row(1, 4), row(2, 5)])
    write_scores(tmp_path / "s" / "eval", growth=[row(3, 1)])
    whole = load(tmp_path / "s")
    assert [(e.extra["dimension"], e.answer) for e in whole.examples] == [
        ("growth", "2"), ("innovation", "4"), ("innovation", "5"),
    ]  # fmt: skip
    assert whole.notes == ("only the train split was read; the source also holds validation",)
    assert load(tmp_path / "s" / "train").examples == whole.examples
    assert [e.extra["dimension"] for e in load(tmp_path / "s" / "eval").examples] == ["growth"]
    assert load(tmp_path / "s" / "train" / "innovation.json").examples[0].extra["dimension"] == "innovation"
    # The same facts under two dimensions stay on one side of a split.
    assert whole.examples[0].group == whole.examples[1].group


def test_a_file_elsewhere_or_a_shard_names_no_dimension_and_a_row_may_name_its_own(tmp_path: Path):
    (tmp_path / "growth.json").write_text(json.dumps([row(1, 2), row(2, 3, dimension="innovation")]))
    write_scores(tmp_path / "shards", **{"train-00000-of-00002": [row(1, 2)], "train-00001-of-00002": [row(2, 2)]})
    assert [e.extra.get("dimension") for e in load(tmp_path / "growth.json").examples] == [None, "innovation"]
    assert all("dimension" not in e.extra for e in load(tmp_path / "shards").examples)


def test_one_row_may_hold_scores_of_several_dimensions_and_is_written_again(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps([row(1, {"growth": 2, "innovation": "4.5"})]))
    [example] = load(tmp_path / "a.json").examples
    assert example.extra["scores"] == {"growth": 2, "innovation": 4.5}
    (tmp_path / "b.json").write_text(json.dumps(list(FORMATS.get("score").rows([example]))))
    assert load(tmp_path / "b.json").examples == (example,)


def test_fields_under_other_names_are_renamed(tmp_path: Path):
    rows = [{"task": "Rate it.", "text": f"Firm {n}.", "rating": n, "score": "internal"} for n in range(3)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    fields = {"task": "prompt", "text": "company_info", "rating": "score"}
    assert [e.answer for e in load(tmp_path / "a.json", fields=fields).examples] == ["0", "1", "2"]
    assert [e.context for e in load(f"slice:rows=1:{tmp_path}/a.json", fields=fields).examples] == ["Firm 1."]


def test_scores_as_words_are_refused_one_by_one_and_as_a_file(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps([row(1, "good"), row(2, 3), row(3, {"growth": "high"})]))
    assert [r.code for r in load(tmp_path / "a.json", drop_bad=True).rejections] == ["bad_score", "bad_score"]
    (tmp_path / "b.json").write_text(json.dumps([row(1, "good"), row(2, "poor")]))
    with pytest.raises(DataError, match="no row can be used: 2 bad_score"):
        load(tmp_path / "b.json", drop_bad=True)
