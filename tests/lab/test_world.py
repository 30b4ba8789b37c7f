"""The generated world: answers in place, pools apart, everything from the seed."""

from __future__ import annotations

from random import Random

import pytest

from predictor.lab.items import draw_items, evaluation_items
from predictor.lab.names import POOLS, draw_person, pool_of
from predictor.lab.passages import draw_passage
from predictor.lab.relations import OPEN_RELATIONS, RELATIONS
from predictor.lab.values import DRAW


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
    assert {relation.kind for relation in RELATIONS if not relation.met} == set(OPEN_RELATIONS)
    for relations in OPEN_RELATIONS.values():
        names = [relation.name for relation in (*RELATIONS, *relations)]
        assert len(set(names)) == len(names)


def test_each_relation_has_a_kind_of_value_of_its_own_that_its_first_word_shows() -> None:
    kinds = [relation.kind for relation in RELATIONS]
    assert len(set(kinds)) == len(kinds)
    rng = Random(1)
    first = {kind: {DRAW[kind](rng, "train").split()[0] for _ in range(300)} for kind in kinds}
    for kind, words in first.items():
        assert not words & set().union(*(others for other, others in first.items() if other != kind)), kind


@pytest.mark.parametrize("pool", POOLS)
def test_names_come_from_their_own_pool(pool: str) -> None:
    rng = Random(1)
    for kind in ("place", "person", "language", "firm", "award"):
        assert pool_of(DRAW[kind](rng, pool)) == pool
    assert pool_of(draw_person(rng, pool)) == pool


def test_no_word_occurs_in_two_names_or_values_of_a_passage() -> None:
    for seed in range(30):
        passage = draw_passage(Random(seed), RELATIONS, 3, 3, "train")
        names = [*{fact.person for fact in passage.facts}, *(fact.value for fact in passage.facts)]
        words = [word for name in names for word in name.split()]
        assert len(set(words)) == len(words), passage.text


def test_every_answer_stands_where_it_is_said_to_stand() -> None:
    rng = Random(2)
    for people, facts_each in ((1, 1), (2, 4), (3, 3), (5, 3)):
        passage = draw_passage(rng, RELATIONS, people, facts_each, "train")
        assert len(passage.facts) == people * facts_each
        for fact in passage.facts:
            assert passage.text[fact.start : fact.start + len(fact.value)] == fact.value


@pytest.mark.parametrize("shared", [False, True])
def test_a_question_has_one_answer_only(shared: bool) -> None:
    rng = Random(3)
    for _ in range(50):
        passage = draw_passage(rng, RELATIONS, 3, 3, "train", shared=shared)
        asked = [(fact.person, fact.relation.name) for fact in passage.facts]
        assert len(set(asked)) == len(asked)
        assert len({fact.value for fact in passage.facts}) == len(asked)
        givens = [person.split()[0] for person in {fact.person for fact in passage.facts}]
        assert len(givens) == len(set(givens)) == 3


def test_people_share_relations_only_when_asked_to() -> None:
    for shared in (False, True):
        passage = draw_passage(Random(4), RELATIONS, 2, 4, "train", shared=shared)
        relations = [fact.relation.name for fact in passage.facts]
        # Two of the four are stated of both people; the others are drawn for each alone, and may meet by chance.
        assert len(set(relations)) <= 6 if shared else len(set(relations)) == 8
        assert len({fact.person for fact in passage.facts}) == 2


def test_evaluation_is_fixed_and_covers_all_relations_evenly() -> None:
    first = evaluation_items(160)
    assert first == evaluation_items(160)
    counts = [sum(item.fact.relation == relation for item in first) for relation in RELATIONS]
    assert set(counts) == {10}
    assert len({item.context for item in first}) == len(first)


def test_training_and_evaluation_share_no_person() -> None:
    train, evaluation = (
        {fact.person for item in items for fact in item.passage.facts}
        for items in (draw_items("a", 200, "train"), evaluation_items(160))
    )
    assert {pool_of(name) for name in train} == {"train"}
    assert {pool_of(name) for name in evaluation} == {"evaluation"}


def test_a_longer_dataset_begins_with_the_shorter_one() -> None:
    assert draw_items("s", 40, "train")[:10] == draw_items("s", 10, "train")
    assert draw_items("s", 10, "train") != draw_items("t", 10, "train")
