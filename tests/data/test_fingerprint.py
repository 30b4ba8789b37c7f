from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from predictor.data import Example, load
from predictor.data.fingerprint import KEPT_ONE_IN, SKETCH_SIZE, Fingerprint, is_short, passage_group, row_hash
from tests.data.samples import ROWS, write


def sketch(numbers: range) -> tuple[str, ...]:
    made = Fingerprint()
    for number in numbers:
        made.add(Example(id=str(number), question=f"question {number}", answers=("x",)))
    return made.sketch


def test_fingerprint_depends_on_content_alone(tmp_path: Path) -> None:
    rows = ROWS["classification"]
    one = load(write(tmp_path / "a.jsonl", rows))
    other = load(write(tmp_path / "b.json", [{"id": f"x{n}", **row} for n, row in enumerate(rows)]))
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 16
    assert one.row_sketch == other.row_sketch
    changed = load(write(tmp_path / "c.jsonl", [*rows[1:], {**rows[0], "label": 9}]))
    assert changed.fingerprint != one.fingerprint
    assert changed.row_sketch == one.row_sketch, "the sketch knows inputs only"


def test_row_hash_forgets_case_and_spaces_and_the_answer() -> None:
    one = Example(id="1", context="Rain  fell.", question="What fell?", answers=("rain",))
    two = Example(id="2", context="rain fell. ", question="WHAT\nfell?", answers=("snow",))
    assert row_hash(one) == row_hash(two)
    assert len(row_hash(one)) == 10
    assert passage_group("Rain  fell.") == passage_group("rain fell.")
    assert row_hash(one) != row_hash(Example(id="3", context="Rain fell.", question="Who fell?"))


def test_sketch_is_exact_up_to_its_size_and_bounded_beyond() -> None:
    assert len(sketch(range(SKETCH_SIZE))) == SKETCH_SIZE
    everything = sketch(range(10_000))
    assert everything == tuple(sorted(everything))
    assert len(everything) == SKETCH_SIZE
    smallest = sorted(row_hash(Example(id="", question=f"question {n}")) for n in range(10_000))[:SKETCH_SIZE]
    assert list(everything) == smallest


def test_order_changes_the_fingerprint_but_not_the_sketch() -> None:
    numbers = list(range(100))
    one, two = Fingerprint(), Fingerprint()
    for made, order in ((one, numbers), (two, random.Random(0).sample(numbers, 100))):
        for n in order:
            made.add(Example(id=str(n), text=f"text {n}", label="a"))
    assert one.digest != two.digest
    assert one.sketch == two.sketch


def _made(rows: int) -> Fingerprint:
    made = Fingerprint()
    for number in range(rows):
        made.add(Example(id=str(number), question=f"question {number}", answers=("x",)))
    return made


def test_more_hashes_of_large_datasets_are_kept_and_the_sketch_tells_of_which() -> None:
    all_hashes = sorted(int(row_hash(Example(id="", question=f"question {n}")), 16) for n in range(20_000))
    below = [number for number in all_hashes if number < 2**40 // KEPT_ONE_IN]
    assert _made(20_000).row_hashes.tolist() == below
    assert len(below) == pytest.approx(20_000 / KEPT_ONE_IN, rel=0.1)
    for rows in (10, 512, 2_000, 6_000, 6_300, 20_000):
        made = _made(rows)
        assert is_short(made.sketch) == (len(made.row_hashes) > 0), rows
    assert not len(_made(2_000).row_hashes)


def test_kept_hashes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictor.data.fingerprint.MOST_KEPT", 1000)
    kept = _made(30_000).row_hashes
    assert SKETCH_SIZE <= len(kept) <= 1000
    all_hashes = [int(row_hash(Example(id="", question=f"question {n}")), 16) for n in range(30_000)]
    np.testing.assert_array_equal(kept, sorted(all_hashes)[: len(kept)])


def test_a_loaded_dataset_brings_them(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": n % 2} for n in range(8_000)]
    assert len(load(write(tmp_path / "large.jsonl", rows)).row_hashes) > SKETCH_SIZE
    assert not len(load(write(tmp_path / "small.jsonl", rows[:500])).row_hashes)
