"""The loop of a sweep, with an executor that answers at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from predictor.sweep import SAMPLERS, Job, Outcome, Plan
from predictor.sweep import driver as module
from predictor.sweep.driver import Standing, Tally, drive
from predictor.sweep.samplers import Setting
from predictor.sweep.space import Choices
from predictor.trial.config import FinetuneConfig

PLAN = Plan(("a", "b", "c"), ({"lora_r": Choices((4, 8))},), seeds=(1, 2))


class Script:
    """An executor whose outcomes come from a function of the job and of how often it was tried."""

    def __init__(self, answer: Callable[[Job, int], Outcome], slots: int = 2) -> None:
        self.answer, self.slots = answer, slots
        self.running: list[Job] = []
        self.tries: Counter[str] = Counter()
        self.order: list[str] = []

    @property
    def free(self) -> int:
        return self.slots - len(self.running)

    def submit(self, job: Job) -> None:
        assert self.free
        self.running.append(job)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        if not self.running:
            return []
        job = self.running.pop(0)
        self.tries[job.identity] += 1
        self.order.append(job.identity)
        return [self.answer(job, self.tries[job.identity])]

    def close(self) -> None:
        pass


def _identify(config: FinetuneConfig) -> str:
    return f"{config.data.dataset}{config.hyperparameters.method.settings.lora_r}s{config.execution.seed}"


def _good(job: Job, attempt: int) -> Outcome:
    return Outcome(job, "finished", score=0.5)


def _drive(script: Script, standing: dict[str, Standing] | None = None, **options) -> Tally:
    most = options.get("most")
    sampler = options.pop("sampler", None) or SAMPLERS.get("grid")(Setting(PLAN, most))
    return drive(PLAN, sampler, script, standing or {}, _identify, **{"retries": 1, **options})


def test_every_configuration_is_done_once():
    script = Script(_good)
    tally = _drive(script)
    assert len(script.order) == len(set(script.order)) == 12
    assert (tally.finished, tally.total, tally.settled) == (12, 12, 12)


def test_what_is_done_is_skipped_and_counts():
    script = Script(_good)
    tally = _drive(script, {"a4s1": Standing(done=True, score=0.9), "b8s2": Standing(done=True, score=0.1)})
    assert not {"a4s1", "b8s2"} & set(script.order)
    assert (tally.finished, tally.done_before, tally.best.score) == (10, 2, 0.9)  # type: ignore[union-attr]


def test_the_best_is_the_lowest_where_lower_is_better():
    standing = {"a4s1": Standing(done=True, score=0.9), "b8s2": Standing(done=True, score=0.1)}
    assert _drive(Script(_good), standing, sign=-1.0).best.score == 0.1  # type: ignore[union-attr]
    assert _drive(Script(_good), standing).best.score == 0.9  # type: ignore[union-attr]


def test_a_failure_is_tried_again_after_the_rest_and_then_set_aside():
    script = Script(lambda job, n: Outcome(job, "failed", message="bad") if job.identity == "a4s1" else _good(job, n))
    told: list[str] = []
    tally = _drive(script, on_outcome=lambda outcome, tally: told.append(outcome.status))
    assert script.tries["a4s1"] == 2
    assert script.order[-1] == "a4s1"
    assert tally.set_aside == {"a4s1": "failed 2 times: bad"}
    assert (tally.failed, tally.finished, told.count("failed")) == (2, 11, 2)


def test_a_failure_that_passes_is_done():
    script = Script(lambda job, n: Outcome(job, "failed") if n == 1 else _good(job, n))
    tally = _drive(script)
    assert (tally.finished, len(tally.set_aside)) == (12, 0)


def test_two_crashes_set_a_configuration_aside_also_over_two_sweeps():
    script = Script(
        lambda job, n: Outcome(job, "crashed", message="SIGSEGV") if job.identity == "a4s1" else _good(job, n)
    )
    deaths: list[str] = []
    tally = _drive(script, on_death=lambda outcome: deaths.append(outcome.job.identity), retries=9)
    assert (script.tries["a4s1"], deaths) == (2, ["a4s1", "a4s1"])
    assert tally.set_aside == {"a4s1": "crashed 2 times: SIGSEGV"}
    again = Script(_good)
    tally = _drive(again, {"a4s1": Standing(crashes=2, reason="crashed: SIGSEGV")})
    assert "a4s1" not in again.order
    assert tally.set_aside == {"a4s1": "crashed 2 times: crashed: SIGSEGV"}


def test_a_kill_from_outside_is_no_fault_of_the_configuration(monkeypatch):
    script = Script(lambda job, n: Outcome(job, "killed") if n < 10 else _good(job, n))
    assert _drive(script).finished == 12
    monkeypatch.setattr(module, "_KILLS", 3)
    tally = _drive(Script(lambda job, n: Outcome(job, "killed", message="SIGKILL")))
    assert set(tally.set_aside.values()) == {"ended from outside 3 times: SIGKILL"}


def test_what_was_abandoned_or_failed_before_comes_last():
    script = Script(_good, slots=1)
    _drive(script, {"a4s1": Standing(abandoned=1), "b4s1": Standing(failures=1)})
    assert set(script.order[-2:]) == {"a4s1", "b4s1"}


def test_a_configuration_that_somebody_else_holds_is_asked_for_until_it_is_settled(monkeypatch):
    monkeypatch.setattr(module, "_BUSY_S", 0.0)
    script = Script(
        lambda job, n: Outcome(job, "busy") if n < 4 else Outcome(job, "done", score=0.3) if n < 5 else _good(job, n)
    )
    tally = _drive(script)
    assert (tally.finished, tally.done_before) == (0, 12)


def test_a_limit_counts_done_ones_so_that_repeating_it_adds_nothing():
    script = Script(_good)
    assert _drive(script, most=5).finished == 5
    done = {identity: Standing(done=True, score=0.5) for identity in script.order}
    again = Script(_good)
    tally = _drive(again, done, most=5)
    assert (again.order, tally.done_before) == ([], 5)


def test_the_sampler_is_told_the_mean_over_the_seeds():
    class Listening:
        total = None

        def __init__(self) -> None:
            self.points = list(PLAN.combinations())
            self.told: list[float] = []

        def ask(self):
            from predictor.sweep.samplers import Point

            return Point("a", "lab", self.points.pop(0)) if self.points else None

        def tell(self, point, score: float) -> None:
            self.told.append(score)

    sampler = Listening()
    script = Script(lambda job, n: Outcome(job, "finished", score=0.2 if job.config.execution.seed == 1 else 0.4))
    _drive(script, sampler=sampler)
    assert all(math.isclose(score, 0.3) for score in sampler.told)
    assert len(sampler.told) == 2


def test_two_names_for_the_same_rows_are_one_configuration():
    script = Script(_good)
    tally = drive(
        PLAN,
        SAMPLERS.get("grid")(Setting(PLAN)),
        script,
        {},
        lambda config: f"{config.hyperparameters.method.settings.lora_r}s{config.execution.seed}",
        retries=1,
    )
    assert (tally.finished, tally.total) == (4, 4)
