"""Published files of every kind, where they are at hand (PREDICTOR_REAL_DATA names the folder)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from predictor.data import load, write_squad
from predictor.data.converting import convert
from predictor.data.operators import SPOILERS
from predictor.errors import DataError

ROOT = Path(os.environ.get("PREDICTOR_REAL_DATA", "/nonexistent"))

pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="PREDICTOR_REAL_DATA names no folder of published files")

KINDS = {
    "candidates": "messages",
    "squad": "squad",
    "alpaca": "alpaca",
    "sharegpt": "sharegpt",
    "dialogsum": "summarization",
    "datasets": "classification",
}


def leaves(value: object) -> int:
    """Rows in nested lists."""
    return sum(map(leaves, value)) if isinstance(value, list) else 1


def rows_in(path: Path) -> int:
    """Rows of a file, counted without the desk."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_metadata(path).num_rows
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return sum(1 for line in text.split("\n") if line.strip())
    value = json.loads(text)
    if isinstance(value, dict):
        return sum(len(paragraph["qas"]) for article in value["data"] for paragraph in article["paragraphs"])
    return leaves(value)


def files() -> list[Path]:
    suffixes = (".json", ".jsonl", ".parquet")
    return [p for kind in KINDS for p in sorted((ROOT / kind).rglob("*")) if p.suffix in suffixes]


def test_every_file_is_told_and_its_rows_add_up() -> None:
    assert files()
    for path in files():
        dataset = load(path, drop_bad=True)
        assert dataset.format == KINDS[path.relative_to(ROOT).parts[0]], path
        assert dataset.rows == len(dataset.examples) + len(dataset.rejections) == rows_in(path), path


def test_chat_questions_about_passages_are_taken_apart() -> None:
    for path in sorted((ROOT / "candidates").iterdir()):
        examples = load(path, drop_bad=True).examples
        assert sum(bool(e.context and e.question and e.answer) for e in examples) >= 0.99 * len(examples), path


def test_squad_files_are_written_as_they_were_read(tmp_path: Path) -> None:
    for path in sorted((ROOT / "squad").glob("*.json")):
        before = load(path)
        write_squad(before.examples, tmp_path / path.name)
        assert load(tmp_path / path.name).examples == before.examples
        assert convert(path, tmp_path / "chat.jsonl", "messages").changed == {}
        convert(tmp_path / "chat.jsonl", tmp_path / "back.json", "squad")
        assert load(tmp_path / "back.json").examples == before.examples


SPOILT_KINDS = (
    "squad/train.json",
    "squad/xquad.zh.json",
    "candidates/qa_dataset_gpt_7_11.json",
    "candidates/qwen_263_cn_4omini.jsonl",
    "candidates/qwen_500_021_ds_ch.json",
    "candidates/qwen_500_042_ds_poor_quality.json",
)


@pytest.mark.parametrize("name", SPOILT_KINDS)
def test_real_rows_are_spoilt_as_many_as_is_said_and_the_others_stay(name: str):
    clean = load(ROOT / name, drop_bad=True)
    before = {example.id: example for example in clean.examples}
    for way in SPOILERS.names():
        if way in ("wrong_labels", "imbalance"):
            with pytest.raises(DataError, match="with no label"):
                load(f"spoil:{way}:dial=0.5:{ROOT / name}", drop_bad=True)
            continue
        spoilt = load(f"spoil:{way}:dial=0.5:{ROOT / name}", drop_bad=True)
        assert len(spoilt.examples) == len(clean.examples)
        changed = [row for row in spoilt.examples if before.get(row.id) != row]
        assert spoilt.notes[-1].startswith(f"spoil:{way}:dial=0.5:{ROOT / name}: {len(changed)} of {len(before)} rows")
        assert all(row.answer.strip() for row in changed)
        for row in changed:
            starts = zip(row.answers, row.answer_starts, strict=True) if row.answer_starts else ()
            assert all((row.context or "").startswith(text, start) for text, start in starts)
