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
from predictor.probe.forks import Fork, fork_losses, fork_sums
from predictor.probe.scoring import Sequel, sequel_losses
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


@pytest.mark.parametrize(("head", "tails"), [([1], [[]]), ([], [[1]]), ([1], [])])
def test_what_is_no_fork(head, tails):
    with pytest.raises(ValueError, match="a head, and tails of which none is empty"):
        Fork(head, tails)


def test_forks_of_all_lengths_in_batches(base):
    rng = np.random.default_rng(0)
    forks = [
        Fork(
            rng.integers(5, 300, rng.integers(1, 30)).tolist(),
            [rng.integers(5, 300, rng.integers(1, 6)).tolist() for _ in range(2 + number % 3)],
        )
        for number in range(23)
    ]
    counted: list[int] = []
    found = fork_losses(base.model, forks, pad_id=0, on_batch=counted.append)
    assert sum(counted) == 23
    for fork, losses in zip(forks, found, strict=True):
        assert [len(loss) for loss in losses] == [len(tail) for tail in fork.tails]
    ways = [Sequel([*fork.head, *tail], len(tail)) for fork in forks for tail in fork.tails]
    alone = [losses for losses, _ in sequel_losses(base.model, ways, pad_id=0)]
    each = [loss for losses in found for loss in losses]
    np.testing.assert_allclose(np.concatenate(each), np.concatenate(alone), atol=1e-4)
    sums = np.concatenate(fork_sums(base.model, forks, pad_id=0))
    np.testing.assert_allclose(sums, [losses.sum() for losses in alone], atol=1e-4)


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
