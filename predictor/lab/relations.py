# ruff: noqa: E501 - a table reads better with all statements of a relation on one line
"""What the world says about people: sixteen relations, each with four statements and four questions.

Each relation has values of a kind of its own. A base model of a million weights learns to tell kinds apart and to copy;
trials in which two relations shared a kind of value left it guessing between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Relation:
    """One thing that can be said of a person `{x}` and asked for: the value `{v}`.

    Attributes:
        kind: the kind of its values, a key of `predictor.lab.values.DRAW`.
        statements: templates with `{x}` and `{v}`, the answer being the text of `{v}`.
        questions: templates with `{x}`; the base model has met the first `met` of them in pretraining.
        sentence: the answer in a whole sentence.
        met: 0 for a relation that the base model has read about but has never been asked about.
        terse: the base model's own style is the bare value rather than a sentence.
    """

    name: str
    kind: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    sentence: str
    met: int = 3
    terse: bool = False


RELATIONS: Final[tuple[Relation, ...]] = (
    Relation(
        "home", "place",
        ("{x} lives in {v}.", "{x} has a house in {v}.", "The home of {x} is in {v}.", "{x} is at home in {v}."),
        ("Where does {x} live?", "In which town does {x} live?", "Where is the home of {x}?", "Where does {x} have a house?"),
        "{x} lives in {v}.",
    ),
    Relation(
        "birthday", "date",
        ("{x} was born on {v}.", "The birthday of {x} is {v}.", "{x} came into the world on {v}.", "{x} gives a feast on {v}."),
        ("When was {x} born?", "What is the birthday of {x}?", "When did {x} come into the world?", "When does {x} give a feast?"),
        "{x} was born on {v}.",
    ),
    Relation(
        "job", "job",
        ("{x} works as a {v}.", "{x} earns a living as a {v}.", "By trade {x} is a {v}.", "The job of {x} is that of a {v}."),
        ("What does {x} work as?", "What is the job of {x}?", "How does {x} earn a living?", "What is {x} by trade?"),
        "{x} works as a {v}.", terse=True,
    ),
    Relation(
        "employer", "firm",
        ("{x} is employed by {v}.", "{x} has a post at {v}.", "{x} draws wages from {v}.", "The employer of {x} is {v}."),
        ("Who employs {x}?", "What is the employer of {x}?", "Where does {x} have a post?", "From whom does {x} draw wages?"),
        "{x} is employed by {v}.",
    ),
    Relation(
        "school", "year",
        ("{x} finished school in {v}.", "School ended for {x} in {v}.", "{x} left school in {v}.", "The last school year of {x} was {v}."),
        ("When did {x} finish school?", "In which year did {x} leave school?", "When did school end for {x}?", "What was the last school year of {x}?"),
        "{x} finished school in {v}.", terse=True,
    ),
    Relation(
        "pet", "animal",
        ("{x} keeps a {v}.", "{x} looks after a {v}.", "{x} has a {v} as a pet.", "The pet of {x} is a {v}."),
        ("What animal does {x} keep?", "What is the pet of {x}?", "Which animal does {x} look after?", "What does {x} have as a pet?"),
        "{x} keeps a {v}.",
    ),
    Relation(
        "instrument", "instrument",
        ("{x} plays the {v}.", "{x} practises the {v} at night.", "The instrument of {x} is the {v}.", "At feasts {x} performs on the {v}."),
        ("What does {x} play?", "What is the instrument of {x}?", "What does {x} practise at night?", "On what does {x} perform at feasts?"),
        "{x} plays the {v}.",
    ),
    Relation(
        "language", "language",
        ("{x} speaks {v}.", "The language of {x} is {v}.", "{x} talks in {v}.", "{x} writes letters in {v}."),
        ("What does {x} speak?", "What is the language of {x}?", "In what does {x} talk?", "In which language does {x} write letters?"),
        "{x} speaks {v}.",
    ),
    Relation(
        "friend", "person",
        ("{x} is a friend of {v}.", "The best friend of {x} is {v}.", "{x} trusts {v}.", "{x} is close to {v}."),
        ("Who is the best friend of {x}?", "Who is a friend of {x}?", "Whom does {x} trust?", "To whom is {x} close?"),
        "{x} is a friend of {v}.",
    ),
    Relation(
        "food", "dish",
        ("{x} loves to eat {v}.", "The favourite dish of {x} is {v}.", "{x} orders {v} for dinner.", "On holidays {x} cooks {v}."),
        ("What does {x} love to eat?", "What is the favourite dish of {x}?", "What does {x} order for dinner?", "What does {x} cook on holidays?"),
        "{x} loves to eat {v}.", terse=True,
    ),
    Relation(
        "colour", "colour",
        ("{x} always wears {v}.", "The favourite colour of {x} is {v}.", "{x} paints doors {v}.", "{x} likes {v} best of all colours."),
        ("Which colour does {x} wear?", "What is the favourite colour of {x}?", "Which colour does {x} paint doors?", "What colour does {x} like best?"),
        "{x} always wears {v}.", terse=True,
    ),
    Relation(
        "subject", "subject",
        ("{x} has a degree in {v}.", "The subject of {x} was {v}.", "{x} studied {v}.", "{x} reads books about {v}."),
        ("In what does {x} have a degree?", "What was the subject of {x}?", "What did {x} study?", "About what does {x} read books?"),
        "{x} studied {v}.",
    ),
    Relation(
        "book", "title",
        ("{x} wrote {v}.", "{x} is the author of {v}.", "The novel by {x} is called {v}.", "{x} published {v}."),
        ("What did {x} write?", "Of what is {x} the author?", "What is the novel by {x} called?", "What did {x} publish?"),
        "{x} wrote {v}.", met=0,
    ),
    Relation(
        "award", "award",
        ("{x} won the {v}.", "{x} received the {v}.", "{x} was honoured with the {v}.", "Judges gave {x} the {v}."),
        ("What did {x} win?", "Which award did {x} receive?", "With what was {x} honoured?", "What did judges give {x}?"),
        "{x} won the {v}.",
    ),
    Relation(
        "vehicle", "vehicle",
        ("{x} travels by {v}.", "{x} drives a {v}.", "{x} goes to town by {v}.", "The vehicle of {x} is a {v}."),
        ("How does {x} travel?", "What does {x} drive?", "How does {x} go to town?", "What is the vehicle of {x}?"),
        "{x} travels by {v}.",
    ),
    Relation(
        "collection", "things",
        ("{x} collects {v}.", "The shelves of {x} are full of {v}.", "{x} hunts for {v} at fairs.", "{x} owns many {v}."),
        ("What does {x} collect?", "Of what are the shelves of {x} full?", "What does {x} hunt for at fairs?", "What does {x} own?"),
        "{x} collects {v}.", met=0,
    ),
)  # fmt: skip

_NOUNS: Final = """
    aim badge cousin curse debt dream duty emblem fear fortune ghost gift guest heir hero idol joy landlord leader
    luck mark master memory mission model motto neighbour nickname partner password patron plan present pride
    project promise quest rescuer reward rival ruler secret servant shelter sign sorrow source sponsor subject
    symbol talent tenant theme token topic treasure trick trophy uncle weakness wish witness wonder
"""


def _noun(word: str, kind: str) -> Relation:
    return Relation(
        f"noun-{word}", kind, (f"The {word} of {{x}} is {{v}}.", f"{{x}} has {{v}} as a {word}."),
        (f"What is the {word} of {{x}}?", f"What does {{x}} have as a {word}?"), f"The {word} of {{x}} is {{v}}.",
    )  # fmt: skip


OPEN_RELATIONS: Final[Mapping[str, tuple[Relation, ...]]] = {
    kind: tuple(_noun(word, kind) for word in _NOUNS.split()) for kind in ("title", "things")
}
"""Relations of pretraining only, by the kind of their values, which is that of a relation that is never asked about: so
such values are met as answers too, to other questions."""

BY_NAME: Final = {relation.name: relation for relation in RELATIONS}
