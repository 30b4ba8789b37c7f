"""The family of a dataset: how it was made."""

from __future__ import annotations

from predictor.config import LAB, family_in


def family_of(dataset: str) -> str:
    """The family that a dataset's name tells; empty where it tells none, as the name of a file does.

    `lab:FAMILY:…` is of the lab's family, `spoil:HOW:…` of `spoil:HOW` whatever was spoilt, `mix:…` of `mix`, and
    `slice:…` of the family of what was sliced.

    A run's tag `predictor.family` counts more. This is the one place that knows it without the tag: a fine-tune asks it
    when nobody says the family, and the table asks it for runs that were written before the tag was.
    """
    return family_in(dataset, _of_lab)


def _of_lab(name: str) -> str:
    world, _, rest = name.partition(":")
    return rest.partition(":")[0] if world == LAB else ""
