"""What can stand as the answer of a question: made-up names, and phrases out of everyday words.

The words of a value show its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from predictor.lab.names import draw_from_pool, draw_word, words

JOBS: Final = words("""
    baker barber blacksmith bookbinder brewer builder carpenter clerk clockmaker cook cooper dancer dentist doctor
    farmer ferryman fisherman gardener glazier goldsmith guide hatter hunter judge lawyer locksmith mason midwife
    miller miner nurse painter pilot plumber porter potter printer sailor shepherd shoemaker singer surgeon
    surveyor tailor tanner teacher vet weaver
""")
ANIMALS: Final = words("""
    badger beetle cat crane crow dog donkey duck ferret finch fox goat goose hare hawk heron horse lizard mole
    mule newt owl parrot pig pony rabbit raven robin sheep snake spider swan toad turtle wolf wren
""")
COLOURS: Final = words("""
    beige black blue brown cream crimson green grey indigo maroon navy olive orange pink purple red scarlet teal violet
    white yellow
""")
TEMPERS: Final = words("""
    bold calm clever fat greedy lame lazy noisy old plump proud quick shy sleepy tame thin tiny wild wise young
""")
CONDITIONS: Final = words("""
    borrowed covered creaky dusty fast heavy hired leaky light muddy open rented rickety rusty shiny slow
    spare sturdy worn
""")
DIRECTIONS: Final = words("""
    Cape East Fort Great Inner Lake Little Lower Mount New North Outer Port South Upper West
""")
INSTRUMENTS: Final = words("""
    accordion bagpipe banjo bassoon bugle cello clarinet cornet drum dulcimer fiddle flute gong guitar harp horn
    lute mandolin oboe organ piano piccolo recorder trombone trumpet tuba viola violin zither
""")
DISHES: Final = words("""
    bean beef cabbage carrot cheese cherry chicken fish garlic ginger honey leek lemon lentil mushroom nut onion
    pea pear plum potato pumpkin rice salmon spinach turnip
""")
COURSES: Final = words("""
    bread broth cake curry dumplings noodles pancakes pie pudding salad soup stew tart
""")
THINGS: Final = words("""
    bells bottles bowls buttons candles coins combs cups dolls feathers keys knives lamps maps masks medals
    mirrors pipes plates ribbons rings shells spoons stamps stones
""")
MATERIALS: Final = words("""
    amber bone brass bronze clay copper glass gold iron ivory jade paper pearl pewter silk silver steel stone tin
    wooden
""")
VEHICLES: Final = words("""
    barge bicycle bus canoe carriage cart coach ferry lorry motorbike raft scooter sledge steamer taxi tractor
    train tram tricycle wagon
""")
TITLES: Final = words("""
    Bridge Castle Clock Crown Desert Door Forest Garden Harbour Island Lantern Letter Mirror Mountain Orchard
    River Road Shadow Ship Storm Tower Valley Window Winter
""")
MOODS: Final = words("""
    Bitter Broken Burning Distant Empty Endless Frozen Gentle Hidden Hollow Lonely Narrow Painted Quiet Secret
    Silent Sleeping Stolen Sunken Wandering
""")
FIRMS: Final = words("""
    Bank Brothers Foundry Hotel Institute Laboratory Library Mills Museum Press Railway Theatre Trust Works
""")
AWARDS: Final = words("""
    Cup Medal Prize Ribbon Shield Trophy
""")

MONTHS: Final = words("""
    January February March April May June July August September October November December
""")
SUBJECTS: Final = words("""
    algebra anatomy astronomy botany chemistry drama economics ethics geography geology geometry grammar history law
    logic medicine music optics philosophy physics poetry rhetoric surveying theology zoology
""")
TITLES_OF_PEOPLE: Final = words("""
    Aunt Baron Bishop Captain Colonel Cousin Doctor Duchess Lady Lord Madam Major Sergeant Sister Uncle
""")

VARIETIES: Final = words("""
    Ancient Classical Coastal Common Courtly Forest Hill High Island Low Marsh Middle Modern Rural Vulgar
""")


def _named(make: Callable[[Random], str]) -> Callable[[Random, str], str]:
    """A kind whose values belong to pools."""
    return lambda rng, pool: draw_from_pool(rng, pool, make)


DRAW: Final[dict[str, Callable[[Random, str], str]]] = {
    "place": _named(lambda rng: f"{rng.choice(DIRECTIONS)} {draw_word(rng, 'place')}"),
    "person": _named(lambda rng: f"{rng.choice(TITLES_OF_PEOPLE)} {draw_word(rng, 'friend')}"),
    "language": _named(lambda rng: f"{rng.choice(VARIETIES)} {draw_word(rng, 'language')}"),
    "firm": _named(lambda rng: f"{rng.choice(FIRMS)} {draw_word(rng, 'firm')}"),
    "award": _named(lambda rng: f"{draw_word(rng, 'family')} {rng.choice(AWARDS)}"),
    "date": lambda rng, pool: f"{rng.choice(MONTHS)} {rng.randrange(1, 29)}",
    "subject": lambda rng, pool: rng.choice(SUBJECTS),
    "job": lambda rng, pool: rng.choice(JOBS),
    "year": lambda rng, pool: str(rng.randrange(1700, 2000)),
    "animal": lambda rng, pool: f"{rng.choice(TEMPERS)} {rng.choice(ANIMALS)}",
    "instrument": lambda rng, pool: rng.choice(INSTRUMENTS),
    "dish": lambda rng, pool: f"{rng.choice(DISHES)} {rng.choice(COURSES)}",
    "colour": lambda rng, pool: rng.choice(COLOURS),
    "things": lambda rng, pool: f"{rng.choice(MATERIALS)} {rng.choice(THINGS)}",
    "vehicle": lambda rng, pool: f"{rng.choice(CONDITIONS)} {rng.choice(VEHICLES)}",
    "title": lambda rng, pool: f"{rng.choice(MOODS)} {rng.choice(TITLES)}",
}
"""Kind of value → draws one; names out of the pool, everyday words out of all."""
