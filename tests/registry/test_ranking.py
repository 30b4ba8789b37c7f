"""A candidate that was given to a predictor in Python, and what becomes of one that cannot be probed."""

from __future__ import annotations

from typing import Any

import pytest

from predictor.errors import DataError
from predictor.meta.bundle import Bundle
from predictor.registry.ranking import features_of
from predictor.schema.targets import Target

NOTHING = Bundle(Target("f1", ""), {})
"""Of runs of which nothing is known."""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (DataError("no such file", where="a.json"), "no such file | where: a.json"),
        (MemoryError(), "MemoryError"),
        (OSError("disk full"), "OSError: disk full"),
        (RuntimeError("CUDA out of memory\nTried to allocate"), "RuntimeError: CUDA out of memory Tried to allocate"),
    ],
)
def test_whatever_fails_becomes_the_candidates_error(fault: Exception, said: str):
    def prober(source: str, **settings: Any):
        raise fault

    candidate = features_of(NOTHING, "a.json", 0, prober, {})
    assert (candidate.name, candidate.error, dict(candidate.features)) == ("a.json", said, {})


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_fault_of_the_candidate(end: type[BaseException]):
    def prober(source: str, **settings: Any):
        raise end

    with pytest.raises(end):
        features_of(NOTHING, "a.json", 0, prober, {})
