"""Tails after a head that is read once have the losses that they have when each is read with the head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from predictor.data.example import Example
from predictor.models.answers import wanted_losses
from predictor.models.base_model import load_base_model
from predictor.models.device import Device
from predictor.models.render import render_rows
from predictor.probe.scoring import Fork, Sequel, fork_losses, sequel_losses
from predictor.tasks import TASKS
from predictor.tasks.base import Wanted


@pytest.fixture(scope="module")
def base(tiny_base):
    return load_base_model(str(tiny_base), Device("cpu", bf16=False, flash_attention=False, memory_bytes=0))


def test_losses_of_a_fork_are_those_of_its_ways_one_by_one(base):
    generator = torch.Generator().manual_seed(0)
    ids = lambda n: torch.randint(3, 200, (n,), generator=generator).tolist()  # noqa: E731
    forks = [Fork(ids(17), [ids(1), ids(4), ids(2)]), Fork(ids(5), [ids(1), ids(1)]), Fork(ids(1), [ids(3)])]
    found = fork_losses(base.model, forks, pad_id=0)
    for fork, losses in zip(forks, found, strict=True):
        ways = [Sequel([*fork.head, *tail], len(tail)) for tail in fork.tails]
        for loss, (expected, _) in zip(losses, sequel_losses(base.model, ways, pad_id=0), strict=True):
            assert loss == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="no empty tail"):
        Fork([1], [[]])


def test_a_whole_answer_and_options_are_weighed_as_they_are_trained(base):
    task = TASKS.get("scoring")
    row = Example("1", ("4",), context="Firm 1.", question="Rate it.")
    rendered = render_rows([row], task, base.tokenizer)[0]
    options = Wanted("Score:", (" 4", " 5", " 4.5"))
    whole, several = wanted_losses(base.model, base, [rendered.prompt_ids], [[Wanted("", ("Score: 4",)), options]])[0]
    [(expected, _)] = sequel_losses(
        base.model, [Sequel([*rendered.prompt_ids, *rendered.completion_ids], len(rendered.completion_ids))], pad_id=0
    )
    assert whole[0] == pytest.approx(expected, abs=1e-5)
    # Of options only what they differ in is looked at: the end of the answer, and the digits before it.
    assert several[0] == pytest.approx(expected[-len(several[0]) :], abs=1e-5)
    assert 1 <= len(several[0]) < len(expected)
    assert all(np.isfinite(losses).all() for losses in several)
