"""What a person is told while a model is trained."""

from __future__ import annotations

from pathlib import Path

from predictor.trial.monitor import LossWatch, Monitor


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def monitor(steps: int, log: Path | None = None) -> tuple[Monitor, Clock, list[str], list[str]]:
    clock, shown, remarks = Clock(), [], []
    made = Monitor(steps, 167, log=log, note=shown.append, remark=remarks.append, clock=clock)
    return made, clock, shown, remarks


def test_the_line_says_where_the_training_is(tmp_path: Path):
    made, clock, shown, _ = monitor(500, tmp_path / "training.log")
    for step in range(1, 101):
        clock.now += 2.0
        made.point(step, {"train/loss": 2.3451, "train/learning_rate": 2e-4}, step * 620.0)
    # 400 steps of two seconds are left; every ten seconds one line on the screen, every step one in the log.
    assert shown[-1] == "Epoch 1/3 · Step 100/500 · Loss 2.345 · LR 2.0e-4 · 310 tok/s · ETA 0:13:20"
    assert len(shown) == 20
    lines = (tmp_path / "training.log").read_text().splitlines()
    assert len(lines) == 100
    assert lines[-1].endswith(shown[-1])
    made.point(100, {"eval/loss": 1.25}, 0.0)
    assert (tmp_path / "training.log").read_text().endswith("Step 100/500 · eval/loss 1.25\n")


def test_points_of_a_checkpoint_that_are_told_again_make_no_speed():
    made, clock, shown, _ = monitor(10)
    for step in range(1, 9):
        made.point(step, {"train/loss": 1.0, "train/learning_rate": 1e-3}, step * 100.0)
    for step in (9, 10):
        clock.now += 4.0
        made.point(step, {"train/loss": 1.0, "train/learning_rate": 1e-3}, step * 100.0)
    assert shown == ["Epoch 1/1 · Step 10/10 · Loss 1.000 · LR 1.0e-3 · 25 tok/s · ETA 0:00:00"]


def said(losses: list[float]) -> list[str]:
    watch = LossWatch(len(losses))
    return [text for step, loss in enumerate(losses, 1) if (text := watch.look(step, loss))]


def test_a_loss_that_explodes_is_said_once_while_it_happens():
    falling = [2.0 - 0.01 * i for i in range(50)]
    [text] = said([*falling, *[6.0] * 15])
    assert text.startswith("WARNING: step 52: the loss has risen to 3.31, from 1.54 at step 49")
    assert "learning_rate" in text
    assert len(said([*falling, *[6.0] * 15, *[1.0] * 9, *[6.0] * 9])) == 2, "after it was well again it is news again"


def test_a_loss_that_stalls_is_said_once():
    [text] = said([3.0, 2.0, 1.5, 1.2, 1.1, *[1.0] * 60])
    assert text.startswith("step 30: the loss has not fallen since 1 at step 10")


def test_a_loss_that_falls_in_a_noisy_way_is_no_news():
    assert said([2.0 * 0.98**i * (1.3 if i % 2 else 0.8) for i in range(300)]) == []


def test_the_log_of_a_long_training_stays_short(tmp_path: Path):
    made = monitor(10_000, tmp_path / "log")[0]
    for step in range(1, 10_001):
        made.point(step, {"train/loss": 1.0 / step, "train/learning_rate": 1e-3}, step * 10.0)
    assert len((tmp_path / "log").read_text().splitlines()) == 2000
