"""One process, one device."""

from __future__ import annotations

import pytest

from predictor.errors import TrainingError
from predictor.models.device import detect, refuse_launcher


@pytest.mark.parametrize("processes", ["2", "8"])
def test_several_processes_of_a_launcher_are_refused(monkeypatch: pytest.MonkeyPatch, processes: str):
    monkeypatch.setenv("WORLD_SIZE", processes)
    with pytest.raises(TrainingError, match=rf"started {processes} processes of it[\s\S]*sweep -P workers"):
        detect()


def test_one_process_of_a_launcher_is_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    refuse_launcher()
    monkeypatch.delenv("WORLD_SIZE")
    refuse_launcher()


def test_an_entry_point_refuses_before_there_is_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    from entrypoints import _cli, probe

    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _cli.main(probe.CONFIG, lambda config, progress: pytest.fail("it ran"), []) == 1
    assert "a launcher has started 2 processes" in capsys.readouterr().err


def test_several_visible_gpus_need_a_word(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TrainingError, match="2 GPUs are visible") as caught:
        detect()
    assert "CUDA_VISIBLE_DEVICES=0" in str(caught.value)
    assert "accelerate launch --num_processes N" in str(caught.value)
