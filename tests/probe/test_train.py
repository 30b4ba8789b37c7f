"""Features of the first steps, and the recorder that watches them."""

from __future__ import annotations

import math

import pytest

from predictor.errors import TrainingError
from predictor.probe import FEATURES, ProbeRecorder, Trace, train_features
from tests.probe.builders import tiny_model


def test_values_worked_out_by_hand() -> None:
    trace = Trace(
        losses=[4.0, 4.0, 3.0, 3.0, 3.0, 2.0, 1.0, 2.0],  # quarters: 4 and 1.5
        grad_norms=[3.0, 1.0] * 4,
        grad_cosines=[0.5, math.nan, 0.1],
        initial_norm=10.0,
        update_norm=1.0,
        generic_loss_before=2.0,
        generic_loss_after=2.25,
    )
    features = train_features(trace)
    assert features["early_loss"] == 1.5
    assert features["loss_decay"] == pytest.approx(2.5 / 4)
    assert features["gradient_norm_mean"] == 2.0
    assert features["gradient_norm_variation"] == 0.5
    assert features["gradient_consistency"] == pytest.approx(0.3)
    assert features["parameter_change"] == 0.1
    assert features["forgetting_proxy"] == 0.25
    assert set(features) == {name for name, entry in FEATURES if entry.tier == "train" and entry.compute}


def test_loss_instability_is_the_distance_from_a_straight_line() -> None:
    def instability(*losses: float) -> float:
        return train_features(Trace(losses, [1.0]))["loss_instability"]

    assert instability(5.0, 4.0, 3.0, 2.0) == pytest.approx(0.0, abs=1e-12)
    # 1, 2, 1 around its line, the constant 4/3: distances −1/3, 2/3, −1/3.
    assert instability(1.0, 2.0, 1.0) == pytest.approx(math.sqrt((1 + 4 + 1) / 9 / 3) / (4 / 3))
    assert math.isnan(instability(2.0, 1.0))


@pytest.mark.parametrize(
    "trace",
    [
        Trace([2.0], [1.0]),
        Trace([0.0] * 4, [0.0] * 4, [math.nan] * 3, initial_norm=0.0, update_norm=0.0),
        Trace([math.nan] * 4, [math.inf] * 4),
    ],
)
def test_odd_traces_give_finite_numbers_or_documented_nan(trace: Trace) -> None:
    for name, value in train_features(trace).items():
        assert math.isfinite(value) or (math.isnan(value) and FEATURES.get(name).nan), name


def test_no_step_is_refused() -> None:
    with pytest.raises(TrainingError, match="watched no optimizer step"):
        train_features(Trace([], []))


def test_recorder_measures_gradients_and_movement() -> None:
    import torch

    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    frozen = torch.nn.Parameter(torch.ones(5), requires_grad=False)
    model = torch.nn.ParameterList([weight, frozen])
    recorder = ProbeRecorder(steps=3)
    recorder.snapshot(model)
    for gradient, loss in (([1.0, 0.0], 3.0), ([1.0, 1.0], 2.0), ([0.0, 2.0], 1.0), ([9.0, 9.0], 9.0)):
        weight.grad = torch.tensor(gradient)
        recorder.observe_gradients(model)
        if not recorder.full:
            with torch.no_grad():
                weight -= weight.grad
        recorder.observe_step(loss)
    assert recorder.full
    recorder.finish(model)
    trace = recorder.trace(generic_loss_before=1.0, generic_loss_after=1.5)
    assert trace.losses == [3.0, 2.0, 1.0]  # the fourth step came after the probe
    assert trace.grad_norms == pytest.approx([1.0, math.sqrt(2), 2.0])
    assert trace.grad_cosines == pytest.approx([1 / math.sqrt(2)] * 2)
    assert trace.initial_norm == pytest.approx(5.0)
    assert trace.update_norm == pytest.approx(math.sqrt(2**2 + 3**2))
    assert train_features(trace)["forgetting_proxy"] == 0.5


def test_recorder_prefers_the_norm_before_clipping_and_survives_missing_gradients() -> None:
    import torch

    one, other = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    model = torch.nn.ParameterList([one, other])
    recorder = ProbeRecorder(steps=2)
    one.grad = torch.tensor([1.0, 0.0])  # `other` took no part
    recorder.observe_gradients(model)
    recorder.observe_step(1.0, grad_norm=7.0)
    one.grad = torch.zeros(2)
    recorder.observe_gradients(model)
    recorder.observe_step(1.0, grad_norm=0.0)
    trace = recorder.trace()
    assert trace.grad_norms == [7.0, 0.0]
    assert math.isnan(trace.grad_cosines[0])
    assert math.isnan(train_features(trace)["parameter_change"])  # there was no snapshot


def test_recorder_does_not_change_training() -> None:
    import torch

    def trained(watch: bool) -> torch.Tensor:
        model = tiny_model()
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        recorder = ProbeRecorder(steps=2)
        torch.manual_seed(5)
        recorder.snapshot(model) if watch else None
        for _ in range(3):
            ids = torch.randint(3, 60, (2, 8))
            loss = model(ids, labels=ids).loss
            loss.backward()
            if watch:
                recorder.observe_gradients(model)
            optimizer.step()
            optimizer.zero_grad()
            if watch:
                recorder.observe_step(float(loss.detach()))
        recorder.finish(model) if watch else None
        return torch.cat([p.detach().reshape(-1) for p in model.parameters()])

    assert torch.equal(trained(True), trained(False))
