"""Features of the first steps, and the recorder that watches them."""

from __future__ import annotations

import math

import pytest

from predictor.errors import TrainingError
from predictor.probe import FEATURES, Marks, ProbeRecorder, Trace, places, train_features
from tests.memory import growth
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
        dev_loss_before=3.0,
        dev_after=Marks(loss=1.25, token_accuracy=0.5, row_accuracy=0.25),
        dev_agreement=-0.5,
        dev_divergence=0.75,
        generic_divergence=0.125,
    )
    features = train_features(trace)
    assert features["early_loss"] == 1.5
    assert features["loss_decay"] == pytest.approx(2.5 / 4)
    assert features["gradient_norm_mean"] == 2.0
    assert features["gradient_norm_variation"] == 0.5
    assert features["gradient_consistency"] == pytest.approx(0.3)
    assert features["parameter_change"] == 0.1
    assert features["forgetting_proxy"] == 0.25
    assert features["dev_early_loss"] == 1.25
    assert features["dev_early_token_accuracy"] == 0.5
    assert features["dev_early_row_accuracy"] == 0.25
    assert features["dev_loss_fall"] == 1.75
    assert features["dev_gradient_agreement"] == -0.5
    assert features["dev_divergence"] == 0.75
    assert features["generic_divergence"] == 0.125
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


@pytest.mark.parametrize("broken_off", [False, True])
def test_recorder_compares_the_slices_gradient_with_the_sum_of_the_steps(broken_off: bool) -> None:
    import torch

    weight = torch.nn.Parameter(torch.ones(2))
    model = torch.nn.ParameterList([weight])
    recorder = ProbeRecorder(steps=3)
    recorder.snapshot(model)
    weight.grad = torch.tensor([0.0, -2.0])
    recorder.observe_dev_gradient(model)
    for gradient in ([1.0, 0.0], [1.0, 3.0], [2.0, 0.0], [50.0, -50.0]):  # the last came after the probe
        weight.grad = torch.tensor(gradient)
        recorder.observe_gradients(model)
        recorder.observe_step(1.0)
        if broken_off:
            tensors, values = recorder.state()
            recorder = ProbeRecorder(steps=3)
            recorder.restore({name: tensor.clone() for name, tensor in tensors.items()}, values)
        if recorder.full:
            recorder.finish(model)
    assert recorder.trace().dev_agreement == pytest.approx(-0.6)  # (0, −2) beside (4, 3)
    assert not {"gradient_sum", "dev_gradient"} & set(recorder.state()[0]), "they are let go of"


def test_recorder_keeps_no_sum_without_a_slice() -> None:
    import torch

    model = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2))])
    recorder = ProbeRecorder(steps=1)
    model[0].grad = torch.ones(2)
    recorder.observe_gradients(model)
    assert "gradient_sum" not in recorder.state()[0]
    recorder.observe_step(1.0)
    recorder.finish(model)
    assert math.isnan(recorder.trace().dev_agreement)


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


def test_few_values_are_all_looked_at() -> None:
    import torch

    parameters = [*tiny_model().parameters(), torch.nn.Parameter(torch.randn(3, 5).T.to(torch.bfloat16))]
    whole = torch.cat([p.detach().reshape(-1).float() for p in parameters])
    assert places.stride_for([tuple(p.shape) for p in parameters]) == 1
    assert torch.equal(places.flat(parameters, 1), whole)
    assert places.flat(parameters, 1).data_ptr() != parameters[0].data_ptr()
    assert torch.equal(places.flat(parameters, 7), whole[::7])
    assert places.flat([], 1).numel() == 0


def test_the_standard_lora_is_looked_at_whole_and_all_weights_of_a_small_base_are_not() -> None:
    assert places.stride_for([(20_185_088,)]) == 1
    assert places.stride_for([(49152, 576), *[(1536, 576)] * 120, (576,)]) == 11  # 9 and 10 share a divisor with 576
    assert places.stride_for([(50_000_000,)]) == 4


def recorded(whole: bool, monkeypatch: pytest.MonkeyPatch, broken_off: bool = False) -> Trace:
    """Three steps of plain gradient descent on two matrices of which one takes no part in the first step."""
    import torch

    monkeypatch.setattr(places, "SEEN_WHOLE", 10**9 if whole else 0)
    monkeypatch.setattr(places, "SAMPLE", 2000)
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.nn.Parameter(torch.randn(100, n, generator=generator)) for n in (64, 50))
    model = torch.nn.ParameterList([first, second])
    recorder = ProbeRecorder(steps=3)
    recorder.snapshot(model)
    pull = torch.randn(100, 64, generator=generator)
    for step in range(3):
        first.grad = pull + torch.randn(100, 64, generator=generator)
        second.grad = None if step == 0 else torch.randn(100, 50, generator=generator)
        recorder.observe_gradients(model)
        with torch.no_grad():
            for parameter in model:
                parameter -= 0.1 * (0 if parameter.grad is None else parameter.grad)
        recorder.observe_step(1.0)
        if broken_off:
            tensors, values = recorder.state()
            recorder = ProbeRecorder(steps=3)
            recorder.restore(tensors, values)
    recorder.finish(model)
    return recorder.trace()


def test_a_sample_estimates_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    sample, whole = recorded(False, monkeypatch), recorded(True, monkeypatch)
    # 11400 values, every seventh: 1628 of them, whose norm has a standard error of √(2 · 6/7 / 1628) / 2 = 1.6 %.
    assert sample.grad_norms != whole.grad_norms
    assert sample.grad_norms == pytest.approx(whole.grad_norms, rel=0.05)
    assert sample.initial_norm == pytest.approx(whole.initial_norm, rel=0.05)
    assert sample.update_norm == pytest.approx(whole.update_norm, rel=0.05)
    assert np.abs(np.subtract(sample.grad_cosines, whole.grad_cosines)).max() < 0.07
    for seen_whole, trace in ((False, sample), (True, whole)):
        assert recorded(seen_whole, monkeypatch, broken_off=True) == trace


def test_what_was_seen_before_there_were_samples_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(100))])
    earlier = ProbeRecorder(steps=1)
    earlier.snapshot(model)
    tensors, values = earlier.state()
    del values["stride"]
    monkeypatch.setattr(places, "SEEN_WHOLE", 10)
    monkeypatch.setattr(places, "SAMPLE", 10)
    recorder = ProbeRecorder(steps=1)
    recorder.restore(tensors, values)
    recorder.finish(model)
    assert (recorder.trace().initial_norm, recorder.trace().update_norm) == (10.0, 0.0)


def test_a_sample_takes_the_memory_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(places, "SEEN_WHOLE", 0)
    monkeypatch.setattr(places, "SAMPLE", 1_000_000)
    model = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(1_000_000)) for _ in range(20)])
    for parameter in list(model)[:10]:
        parameter.grad = torch.ones(1_000_000)
    recorder = ProbeRecorder(steps=2)

    def watch() -> None:
        recorder.snapshot(model)
        recorder.observe_gradients(model)
        recorder.observe_gradients(model)
        recorder.finish(model)

    assert growth(watch) < 3 * 4_000_000 + 8_000_000, "all values have 80 MB"
