"""`mix:size=…:seed=…:0.7:DATASET,0.3:DATASET`: rows of several datasets, in given shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random

from predictor.config import Expression
from predictor.data.fingerprint import row_hash
from predictor.data.operators.base import Row, Rows, drawn, with_own_ids
from predictor.data.operators.options import Options
from predictor.errors import ConfigError, DataError


def mix(expression: Expression, made: Callable[[Expression | str], Rows]) -> Rows:
    """Rows drawn from each part by its weight, none of them twice, in a random order.

    Raises:
        ConfigError: an unknown key, a weight that is no positive number, or a size out of range. DataError: a part has
            fewer rows than the size asks of it, or gives none.
    """
    options = Options.of(expression, ("size", "seed"))
    size, seed = options.whole("size", 1), options.seed
    weights = [_weight(text, expression) for text in expression.weights]
    shares = [weight / sum(weights) for weight in weights]
    parts = [made(part) for part in expression.parts]
    largest = min(len(part) // share for part, share in zip(parts, shares, strict=True))
    counts = _apportioned(shares, size or largest)
    for name, part, count in zip(expression.parts, parts, counts, strict=True):
        if count > len(part):
            raise DataError(
                f"size={size} takes {count} rows of {name}, which has {len(part)}",
                where=expression.text,
                rule="no row is taken twice",
                fix=f"size={largest} at most, or other weights" if largest else "other weights",
            )
        if not count:
            raise DataError(
                f"no row of {name} is in a mixture of {sum(counts)}",
                where=expression.text,
                rule="each part gives a row at least",
                fix="a larger weight or size, or leave the part out",
            )
    names = [f"{part.digest}-mix-{seed}-{number}" for number, part in enumerate(parts)]
    chosen = [
        [part.rows[position] for position in drawn(name, len(part))[:count]]
        for name, part, count in zip(names, parts, counts, strict=True)
    ]
    taken = " + ".join(f"{count} of {name}" for name, count in zip(expression.parts, counts, strict=True))
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    notes.append(f"{expression.text}: {sum(counts)} rows, {taken}")
    if repeated := _shared(chosen):
        notes.append(f"{expression.text}: {repeated} rows ask what a row of another part asks")
    rows = [row for part in chosen for row in part]
    Random("-".join(names)).shuffle(rows)
    return Rows(tuple(with_own_ids(rows)), tuple(notes))


def _weight(text: str, expression: Expression) -> Fraction:
    """The exact value, so that 0.7 and 0.3 of a thousand are 700 and 300."""
    try:
        weight = Fraction(text)
    except (ValueError, ZeroDivisionError):
        weight = Fraction(0)
    if weight <= 0:
        raise ConfigError(
            f"the weight '{text}' is no positive number",
            where=expression.text,
            rule="WEIGHT:DATASET,WEIGHT:DATASET with weights above 0, such as shares or parts",
            fix="mix:0.7:A,0.3:B or mix:7:A,3:B",
        )
    return weight


def _apportioned(shares: Sequence[Fraction], size: int) -> list[int]:
    """Whole rows by largest remainders (Hamilton's method), that sum to the size."""
    counts = [math.floor(share * size) for share in shares]
    remainders = sorted(range(len(shares)), key=lambda part: counts[part] - shares[part] * size)
    for part in remainders[: size - sum(counts)]:
        counts[part] += 1
    return counts


def _shared(parts: Sequence[Sequence[Row]]) -> int:
    """Rows whose input a part before theirs has too."""
    seen: set[str] = set()
    shared = 0
    for part in parts:
        hashes = [row_hash(row.example) for row in part]
        shared += sum(each in seen for each in hashes)
        seen.update(hashes)
    return shared
