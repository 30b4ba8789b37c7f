"""Deterministic choices among rows: what is scored, what is set aside, what a limit keeps."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

from predictor.data.example import Example
from predictor.data.fingerprint import conversation_group, row_hash

Examples = tuple[Example, ...]


def group_of(example: Example) -> str:
    """The rows that must stay together: those of one passage or conversation, else those with equal inputs."""
    if example.group:
        return example.group
    return conversation_group(example.messages) if example.messages else "row-" + row_hash(example)


def subsample(examples: Sequence[Example], limit: int, seed: int) -> Examples:
    """`limit` rows drawn without replacement, in the order of the file; 0, or no fewer than there are, keeps all."""
    if limit <= 0 or limit >= len(examples):
        return tuple(examples)
    chosen = sorted(random.Random(seed).sample(range(len(examples)), limit))
    return tuple(examples[index] for index in chosen)


def split_evaluation(
    examples: Sequence[Example], eval_limit: int, dev_limit: int, seed: int = 0
) -> tuple[Examples, Examples]:
    """The questions that are scored, and a dev slice that is never scored. Both keep the order of the file.

    The two share no passage. At most a fifth of the file is set aside for the dev slice, whole passages at a time. The
    scored questions are spread evenly over the other passages; they depend on the file and `eval_limit` alone, unless
    `eval_limit` asks for so many that the dev slice has to shrink to `dev_limit`.

    Args:
        eval_limit: questions to score; 0, or more than remain, scores all that remain.
        dev_limit: questions of the dev slice, at most; 0 sets none aside for it.
        seed: chooses the dev slice within what is set aside.
    """
    members: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        members.setdefault(group_of(example), []).append(index)
    fifth = len(examples) // 5
    aside = fifth if 0 < eval_limit <= len(examples) - fifth else min(dev_limit, fifth)
    reserved = _reserve(members, aside)
    open_groups = {name: rows for name, rows in members.items() if name not in reserved}
    remaining = sum(map(len, open_groups.values()))
    scored = _spread(open_groups, eval_limit if 0 < eval_limit < remaining else remaining, 0)
    dev = _spread({name: members[name] for name in reserved}, dev_limit, seed)
    return tuple(examples[index] for index in scored), tuple(examples[index] for index in dev)


def hold_out(examples: Sequence[Example], share: float) -> tuple[Examples, Examples]:
    """The rows that are left to learn from, and those held out for the evaluation. Both keep the order of the file.

    Whole passages and conversations are held out, in a fixed order that depends on their texts alone, as long as they
    have no more than `share` of the rows; none where not even one fits.
    """
    members: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        members.setdefault(group_of(example), []).append(index)
    reserved = _reserve(members, round(share * len(examples)), "held")
    held = {index for name in reserved for index in members[name]}
    left = tuple(example for index, example in enumerate(examples) if index not in held)
    return left, tuple(examples[index] for index in sorted(held))


def stratified_hold_out(
    examples: Sequence[Example], share: float, seed: int, stratum: Callable[[Example], str]
) -> tuple[Examples, Examples]:
    """The rows that stay and those that are held out, both in the order of the file.

    Whole groups are held out, so that no passage and no equal inputs stand on both sides, until each stratum has given
    its share, rounded; a stratum of more than one group keeps at least one row on each side.

    Args:
        share: of the rows of each stratum, above 0 and below 1.
        stratum: of a row, such as its label; that of a group is its first row's.
    """
    members: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        members.setdefault(group_of(example), []).append(index)
    strata: dict[str, list[str]] = {}
    for name, rows in members.items():
        strata.setdefault(stratum(examples[rows[0]]), []).append(name)
    held: set[int] = set()
    for names in strata.values():
        wanted = max(1, round(share * sum(len(members[name]) for name in names)))
        for name in sorted(names, key=lambda name: _rank("hold out", seed, name))[: len(names) - 1]:
            if wanted <= 0:
                break
            held.update(members[name])
            wanted -= len(members[name])
    kept = tuple(example for index, example in enumerate(examples) if index not in held)
    return kept, tuple(examples[index] for index in sorted(held))


def _rank(*parts: object) -> bytes:
    """A fixed pseudo-random order that needs no state and no seed of the run."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _reserve(members: dict[str, list[int]], budget: int, order: str = "dev") -> set[str]:
    """Whole groups, in a fixed order, that together have at most `budget` rows."""
    reserved: set[str] = set()
    for name in sorted(members, key=lambda name: _rank(order, name)):
        if len(members[name]) <= budget:
            reserved.add(name)
            budget -= len(members[name])
    return reserved


def _spread(groups: dict[str, list[int]], limit: int, seed: int) -> list[int]:
    """At most `limit` rows, taken in turns from the groups (groups and rows in a fixed order), sorted."""
    order = sorted(groups, key=lambda name: _rank("turn", seed, name))
    queues = [sorted(groups[name], key=lambda index: _rank("row", seed, name, index)) for name in order]
    chosen: list[int] = []
    turn = 0
    while queues and len(chosen) < limit:
        queues = [queue for queue in queues if len(queue) > turn]
        chosen += [queue[turn] for queue in queues[: limit - len(chosen)]]
        turn += 1
    return sorted(chosen)
