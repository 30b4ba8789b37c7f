"""What a fine-tune learns from, is scored on and looks at in between, where the data itself says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from predictor.config import Expression
from predictor.data import Dataset, load, split_evaluation, stratified_hold_out, subsample
from predictor.data.example import Example
from predictor.data.formats.base import Format
from predictor.data.sources import TEST, VALIDATION
from predictor.data.stream import source_files

HELD_OUT: Final = 0.15
"""Share of the training rows that is held out where there is no validation part."""


@dataclass(frozen=True)
class Parts:
    """The rows of one source by their use.

    Attributes:
        evaluation: the dataset that the scored rows are of.
        notes: how they were told apart, for a person.
    """

    train: Sequence[Example]
    scored: Sequence[Example]
    dev: Sequence[Example]
    evaluation: Dataset
    unusable: Sequence[Any] = ()
    notes: tuple[str, ...] = ()


def parts_of(
    source: str | Expression,
    dataset: Dataset,
    learnable: Sequence[Example],
    usable: Callable[[Dataset], tuple[list[Example], list[Any]]],
    *,
    format: str | Format,
    eval_limit: int,
    dev_limit: int,
    stratum: Callable[[Example], str],
) -> Parts:
    """Scored is the test part of the source, development its validation part; what is missing is held out of train.

    What is held out is the same for every seed of a fine-tune, so that seeds and methods can be compared row by row.
    An expression has the parts of its first file, so that a spoilt dataset is scored on rows that are not; its
    development rows are taken from the test part where there is no validation part.

    Args:
        learnable: rows of the training part that the task can use.
        usable: rows that the task can use, and those that it cannot, of a dataset.
        eval_limit, dev_limit: rows that are scored, 0 for all, and of the development slice, 0 for none.
        stratum: held out is the same share of each.
    """
    file = source.leaves[0] if isinstance(source, Expression) else source
    there = {each.split for each in source_files(file)}
    loaded = {
        part: load(file, format=format, split=part, drop_bad=True) for part in (TEST, VALIDATION) if part in there
    }
    rows: dict[str, Sequence[Example]] = {}
    unusable: list[Any] = []
    for part, held in loaded.items():
        rows[part], refused = usable(held)
        unusable += refused if part == TEST or TEST not in loaded else []
    train: Sequence[Example] = learnable
    notes = []
    if isinstance(source, Expression) and TEST in rows and VALIDATION not in rows:
        # Rows held out of a spoilt dataset would be spoilt too.
        rows[TEST], rows[VALIDATION] = split_evaluation(rows[TEST], eval_limit, dev_limit)
    scored_part = TEST if TEST in rows else VALIDATION
    if scored_part not in rows:
        train, rows[scored_part] = stratified_hold_out(train, HELD_OUT, 0, stratum)
        notes.append(f"there is no test part: {len(rows[scored_part])} training rows are held out and scored")
    scored = subsample(rows[scored_part], eval_limit, 0)
    dev: Sequence[Example] = ()
    if dev_limit:
        if scored_part == TEST and VALIDATION in rows:
            dev = subsample(rows[VALIDATION], dev_limit, 0)
        else:
            train, held_out = stratified_hold_out(train, HELD_OUT, 1, stratum)
            dev = subsample(held_out, dev_limit, 0)
            notes.append(f"there is no other validation part: {len(held_out)} training rows are held out for it")
    evaluation = loaded.get(scored_part, dataset)
    return Parts(train, scored, dev, evaluation, unusable, tuple(notes))
