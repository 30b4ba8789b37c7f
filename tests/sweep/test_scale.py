"""The simulation of many workers: nothing is done twice or left, whatever is lost."""

from __future__ import annotations

from benchmarks.scale import Scenario, figures, simulate


def test_every_configuration_is_done_once_although_machines_are_lost():
    scenario = Scenario(workers=24, per_machine=4, configurations=240, days_between_losses=0.02, minutes_away=5.0)
    result = simulate(scenario)
    assert result.machines.losses > 10
    done = result.store.complete()
    assert (len(done), set(done.values())) == (240, {1})
    assert result.store.left() == 0
    assert result.tally.finished == 240
    # What was lost is asked for again, and held when its lease is over.
    assert 0 <= max(result.machines.recovered_s) <= scenario.lease_s + 10
    assert figures(scenario, result)["complete runs"] == "240, each once: True"


def test_without_losses_the_workers_do_nothing_else():
    result = simulate(Scenario(workers=8, configurations=160, days_between_losses=1e9, stragglers=0.0, spread=0.0))
    assert result.machines.losses == 0
    assert result.machines.worked_s / (8 * 3600 * result.hours) > 0.98


def test_a_store_that_answers_one_call_at_a_time_makes_workers_wait():
    quick, slow = (
        simulate(Scenario(workers=400, configurations=1200, minutes=0.5, slots=slots, seed=1)) for slots in (16, 1)
    )
    assert slow.store.waited_s > 5 * quick.store.waited_s
    assert slow.hours > quick.hours
