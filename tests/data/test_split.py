from __future__ import annotations

from collections import Counter

import pytest

from predictor.data import Example, split_evaluation, subsample
from predictor.data.fingerprint import passage_group, row_hash
from predictor.data.validation import GroupLedger, choose_validation


def questions(passages: int, each: int) -> tuple[Example, ...]:
    return tuple(
        Example(
            id=f"{p}-{q}",
            context=f"passage {p}",
            question=f"q {q}?",
            answers=("x",),
            group=passage_group(f"passage {p}"),
        )
        for p in range(passages)
        for q in range(each)
    )


FILE = questions(50, 6)


def test_scored_and_dev_share_no_passage() -> None:
    scored, dev = split_evaluation(FILE, 200, 40)
    assert (len(scored), len(dev)) == (200, 40)
    assert not {example.group for example in scored} & {example.group for example in dev}


def test_scored_questions_are_fixed_for_a_file_and_limit() -> None:
    scored = split_evaluation(FILE, 200, 40, seed=1)[0]
    assert split_evaluation(FILE, 200, 40, seed=2)[0] == scored
    assert split_evaluation(FILE, 200, 0, seed=1)[0] == scored
    assert split_evaluation(FILE, 200, 40, seed=2)[1] != split_evaluation(FILE, 200, 40, seed=1)[1]


def test_scored_questions_are_spread_over_the_passages() -> None:
    scored, _ = split_evaluation(FILE, 100, 0)
    counts = Counter(example.group for example in scored)
    assert len(counts) == 40, "a fifth of the passages is set aside"
    assert set(counts.values()) == {2, 3}
    assert list(scored) == sorted(scored, key=FILE.index)


@pytest.mark.parametrize(("limit", "dev"), [(0, 64), (290, 64), (1000, 10), (0, 0)])
def test_everything_that_remains_is_scored(limit: int, dev: int) -> None:
    scored, aside = split_evaluation(FILE, limit, dev)
    assert len(aside) <= min(dev, len(FILE) // 5)
    reserved = {example.group for example in aside}
    assert len(scored) == sum(example.group not in reserved for example in FILE)


def test_small_files_keep_four_fifths_for_scoring() -> None:
    scored, dev = split_evaluation(questions(10, 1), 0, 64)
    assert (len(scored), len(dev)) == (8, 2)
    scored, dev = split_evaluation(questions(1, 10), 0, 64)
    assert (len(scored), len(dev)) == (10, 0), "one passage cannot be on both sides"


def test_rows_with_equal_inputs_stay_together_without_a_group() -> None:
    rows = tuple(Example(id=str(n), question=f"question {n // 2}", answers=("x",)) for n in range(100))
    scored, dev = split_evaluation(rows, 0, 20)
    assert not {example.question for example in scored} & {example.question for example in dev}


def test_subsample_keeps_the_order_of_the_file() -> None:
    chosen = subsample(FILE, 20, seed=3)
    assert chosen == subsample(FILE, 20, seed=3) != subsample(FILE, 20, seed=4)
    assert list(chosen) == sorted(chosen, key=FILE.index)
    assert subsample(FILE, 0, seed=3) == subsample(FILE, 999, seed=3) == FILE


def ledger(examples: tuple[Example, ...]) -> GroupLedger:
    made = GroupLedger()
    for example in examples:
        made.add(example, row_hash(example))
    return made


def test_validation_takes_whole_passages() -> None:
    chosen = choose_validation(ledger(FILE), 0.15, seed=42)
    assert 0.13 <= chosen.mean() <= 0.17
    sides = {example.group: bool(side) for example, side in zip(FILE, chosen, strict=True)}
    assert all(sides[example.group] == side for example, side in zip(FILE, chosen, strict=True))
    assert (choose_validation(ledger(FILE), 0.15, seed=42) == chosen).all()
    assert (choose_validation(ledger(FILE), 0.15, seed=43) != chosen).any()


def test_validation_is_stratified_by_label() -> None:
    rows = tuple(Example(id=str(n), text=f"text {n}", label="rare" if n % 10 == 0 else "common") for n in range(1000))
    chosen = choose_validation(ledger(rows), 0.2, seed=1)
    taken = Counter(example.label for example, side in zip(rows, chosen, strict=True) if side)
    assert taken == {"rare": 20, "common": 180}


def test_merged_groups_stay_together() -> None:
    made = ledger(FILE)
    keys = sorted(set(made.keys))
    merged = dict.fromkeys(keys[:25], keys[0])
    chosen = choose_validation(made, 0.5, seed=1, merged=merged)
    assert len({bool(side) for key, side in zip(made.keys, chosen, strict=True) if key in merged}) == 1


@pytest.mark.parametrize(("passages", "fraction", "taken"), [(1, 0.15, 0), (2, 0.01, 1), (2, 0.9, 1), (50, 0.0, 0)])
def test_validation_at_the_edges(passages: int, fraction: float, taken: int) -> None:
    chosen = choose_validation(ledger(questions(passages, 1)), fraction, seed=1)
    assert int(chosen.sum()) == taken
    assert len(choose_validation(GroupLedger(), 0.15, seed=1)) == 0
