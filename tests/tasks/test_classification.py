"""Text classification: what a row must have, which classes there are, how an answer is read and scored."""

from __future__ import annotations

from typing import ClassVar

import pytest

from predictor.data import Example
from predictor.errors import ConfigError, DataError
from predictor.tasks.classification import TEMPLATE, Classification, ClassificationSettings
from predictor.trial.config import finetune_config
from tests.tasks.contract import TaskContract


def rows(*labels: str) -> list[Example]:
    return [Example(id=f"{i}", text=f"text {i}", label=label) for i, label in enumerate(labels)]


class TestClassification(TaskContract):
    name = "classification"
    usable: ClassVar = tuple(rows("good", "bad", "good"))
    unusable: ClassVar = (Example(id="a", text=" ", label="good"), Example(id="b", text="a text"), Example(id="c"))


def told(**settings: str) -> Classification:
    return Classification(ClassificationSettings(**settings))


def test_classes_are_in_the_order_of_letters_or_of_numbers():
    assert told().learn_from(rows("b", "a", "c", "a"), ()).labels == ("a", "b", "c")
    assert told().learn_from(rows("10", "2", "-1"), ()).labels == ("-1", "2", "10")


def test_label_names_name_numbers_or_say_which_classes_there_are():
    named = told(label_names="bad, good").learn_from(rows("1", "0"), ())
    assert (named.labels, named.target(rows("1")[0])) == (("bad", "good"), "good")
    wider = told(label_names="c,b,a").learn_from(rows("a", "b"), [rows("c")])
    assert wider.labels == ("c", "b", "a")


@pytest.mark.parametrize(
    ("settings", "train", "evaluated", "error", "message"),
    [
        ({}, rows("a", "a"), [], DataError, "the training rows hold 1 class, such as 'a'"),
        ({}, rows("a", "b"), [rows("a", "c", "c")], DataError, r"1 classes that no training row has: 'c' \(2 rows\)"),
        ({"label_names": "a,b,a"}, rows("a", "b"), [], ConfigError, "label_names names a class twice"),
        ({"label_names": "a,b"}, rows("a", "x"), [], ConfigError, "label_names does not hold the class 'x'"),
        ({"label_names": "no,yes"}, rows("0", "2"), [], ConfigError, "label_names does not hold the class '0'"),
    ],
)
def test_classes_that_do_not_fit_are_refused(settings, train, evaluated, error, message):
    with pytest.raises(error, match=message):
        told(**settings).learn_from(train, evaluated)


def test_the_text_is_asked_in_a_template_bare_or_in_ones_own():
    example = Example(id="a", text="It {is} fine.", label="good")
    task = told().learn_from(rows("good", "bad"), ())
    asked = task.asked(example, bare=False)
    assert asked.startswith('Please carefully read the following reference text:"It {is} fine.", and determine')
    assert asked.endswith("it belongs to:bad,good,answer:")
    assert task.asked(example, bare=True) == "It {is} fine."
    assert told(prompt_template="none").asked(example, bare=False) == "It {is} fine."
    own = told(prompt_template="Is it spam? {text}")
    assert own.asked(example, bare=True) == own.asked(example, bare=False) == "Is it spam? It {is} fine."
    assert "{text}" in TEMPLATE


def test_a_template_without_a_place_for_the_text_and_half_of_the_columns_are_refused():
    with pytest.raises(ConfigError, match="no place for the text"):
        told(prompt_template="Is it spam?")
    with pytest.raises(ConfigError, match="one of text_column and label_column is named"):
        _ = told(text_column="body").columns
    assert told(text_column="title,body", label_column="tag").columns == (("title", "body"), "tag")


def test_an_answer_is_its_first_line_whatever_the_case():
    task = told().learn_from(rows("Sci/Tech", "World"), ())
    assert task.parse(" sci/tech.\nbecause") == "Sci/Tech"
    assert task.parse("") == ""
    assert task.parse("Sports") == "Sports"


def test_an_answer_that_names_no_class_is_wrong_and_counted():
    task = told().learn_from(rows("a", "b"), ())
    scores = task.score(["a", "none"], rows("a", "b"))
    assert scores.values["accuracy"] == 0.5
    assert scores.values["unnamed"] == 0.5
    assert "unnamed" not in task.score(["a", "b"], rows("a", "b")).values


def test_answers_and_texts_are_as_many():
    with pytest.raises(DataError, match="1 answers cannot be scored against 2 texts"):
        told().score(["a"], rows("a", "b"))


def test_the_floor_is_what_the_commonest_class_and_a_bag_of_words_reach():
    train = [Example(id=f"{i}", text=f"{word} thing {i}", label=label) for i, (word, label) in enumerate(
        [("good", "yes")] * 6 + [("bad", "no")] * 5)]  # fmt: skip
    scored = [Example(id="x", text="a good day", label="yes"), Example(id="y", text="a bad day", label="no")]
    task = told().learn_from(train, [scored])
    scores = task.with_floor(task.score(["no", "no"], scored), train, scored)
    assert scores.values["accuracy"] == 0.5
    assert scores.values["majority_accuracy"] == 0.5
    assert scores.values["bag_of_words_accuracy"] == scores.values["bag_of_words_macro_f1"] == 1.0


def test_defaults_depend_on_the_method():
    lora = finetune_config(task="classification")
    assert (lora.hyperparameters.method.settings.lora_r, lora.hyperparameters.training.epochs) == (64, 8)
    full = finetune_config(task="classification", method="full").hyperparameters.training
    assert (full.learning_rate, full.batch_size, full.epochs) == (2e-5, 4, 5)
    assert finetune_config(task="classification", epochs=1).hyperparameters.training.epochs == 1
    assert finetune_config().evaluation.eval_dataset == "lab:evaluation"
    assert lora.evaluation.eval_dataset == ""


def test_a_head_is_trained_unless_the_label_is_written():
    assert finetune_config(task="classification").has_head
    assert not finetune_config(task="classification", method="sft").has_head
    assert not finetune_config().has_head
