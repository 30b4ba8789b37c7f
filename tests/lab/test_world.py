"""The generated world: answers in place, pools apart, everything from the seed."""

from __future__ import annotations

from random import Random

import pytest

from predictor.lab.items import draw_items, evaluation_items
from predictor.lab.names import POOLS, draw_person, draw_word, pool_of
from predictor.lab.passages import draw_passage
from predictor.lab.relations import OPEN_RELATIONS, RELATIONS
from predictor.lab.values import DRAW


def made_up(text: str) -> set[str]:
    return {word.strip(".,?") for word in text.split() if word[0].isupper() and len(word) > 5}


def test_at_least_twelve_relations_with_several_phrasings() -> None:
    assert len(RELATIONS) >= 12
    for relation in RELATIONS:
        assert len(set(relation.statements)) == 4
        assert len(set(relation.questions)) == 4
        assert relation.kind in DRAW
        for template in (*relation.statements, relation.sentence):
            assert template.count("{x}") == template.count("{v}") == 1
        for template in relation.questions:
            assert template.count("{x}") == 1


def test_some_relations_and_phrasings_are_never_asked_in_pretraining() -> None:
    assert 0 < sum(relation.met == 0 for relation in RELATIONS) < len(RELATIONS)
    assert all(relation.met < len(relation.questions) for relation in RELATIONS)
    names = [relation.name for relation in RELATIONS + OPEN_RELATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("pool", POOLS)
def test_words_come_from_their_own_pool(pool: str) -> None:
    rng = Random(1)
    for kind in ("given", "family", "place", "language"):
        assert pool_of(draw_word(rng, kind, pool)) == pool
    assert all(pool_of(word) == pool for word in draw_person(rng, pool).split())


def test_every_answer_stands_where_it_is_said_to_stand() -> None:
    rng = Random(2)
    for people, facts_each in ((1, 1), (2, 4), (3, 3), (5, 3)):
        passage = draw_passage(rng, RELATIONS, people, facts_each, "train")
        assert len(passage.facts) == people * facts_each
        for fact in passage.facts:
            assert passage.text[fact.start : fact.start + len(fact.value)] == fact.value


def test_a_question_has_one_answer_only() -> None:
    rng = Random(3)
    for _ in range(50):
        passage = draw_passage(rng, RELATIONS, 3, 3, "train")
        asked = [(fact.person, fact.relation.name) for fact in passage.facts]
        assert len(set(asked)) == len(asked)
        givens = [person.split()[0] for person in {fact.person for fact in passage.facts}]
        assert len(set(givens)) == len(givens)


def test_neither_person_nor_relation_alone_tells_the_answer() -> None:
    rng = Random(4)
    passage = draw_passage(rng, RELATIONS, 2, 4, "train")
    relations = [fact.relation.name for fact in passage.facts]
    assert len(set(relations)) < len(relations)
    assert len({fact.person for fact in passage.facts}) == 2


def test_evaluation_is_fixed_and_covers_all_relations_evenly() -> None:
    first = evaluation_items(160)
    assert first == evaluation_items(160)
    counts = [sum(item.fact.relation == relation for item in first) for relation in RELATIONS]
    assert set(counts) == {10}
    assert len({item.context for item in first}) == len(first)


def test_training_and_evaluation_share_no_made_up_word() -> None:
    closed = made_up(" ".join(template for relation in RELATIONS for template in (*relation.statements, *relation.questions)))
    train = set().union(*(made_up(item.context) for item in draw_items("a", 200, "train"))) - closed
    evaluation = set().union(*(made_up(item.context) for item in evaluation_items(160))) - closed
    everyday = {word for word in train & evaluation if pool_of(word) not in ("train", "evaluation")}
    assert not {word for word in train & evaluation if word not in everyday and word[-3:] in ("vek", "ton", "kin", "rek")}
    assert {pool_of(word) for word in train if word.endswith(("vek", "rick", "wick"))} == {"train"}
    assert {pool_of(word) for word in evaluation if word.endswith(("vek", "rick", "wick"))} == {"evaluation"}


def test_a_longer_dataset_begins_with_the_shorter_one() -> None:
    assert draw_items("s", 40, "train")[:10] == draw_items("s", 10, "train")
    assert draw_items("s", 10, "train") != draw_items("t", 10, "train")
