"""The family of a dataset: how it was made."""

from __future__ import annotations

from predictor.config import LAB


def family_of(dataset: str) -> str:
    """The family that a dataset's name tells: of `lab:FAMILY:…` the lab's family; empty for any other name.

    A run's tag `predictor.family` counts more. This is the one place that knows it without the tag: a fine-tune asks it
    when nobody says the family, and the table asks it for runs that were written before the tag was.
    """
    world, _, rest = dataset.partition(":")
    return rest.partition(":")[0] if world == LAB else ""
