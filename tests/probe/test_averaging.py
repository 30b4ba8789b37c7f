from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from predictor.probe import WeightMean, averaging  # noqa: E402


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    layers[0].bias.requires_grad_(False)
    return layers


def _moved(model: torch.nn.Module, steps: int, mean: WeightMean) -> list[dict[str, torch.Tensor]]:
    seen = []
    for _ in range(steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        mean.add(model)
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
    return seen


def test_the_mean_is_that_of_the_trained_weights_after_each_step_and_leaves_no_trace(model: torch.nn.Module) -> None:
    mean = WeightMean()
    assert not mean.known
    seen = _moved(model, 4, mean)
    with mean.in_place(model):
        for name, value in model.state_dict().items():
            expected = seen[-1][name] if name == "0.bias" else torch.stack([each[name] for each in seen]).mean(dim=0)
            torch.testing.assert_close(value, expected)
    for name, value in model.state_dict().items():
        assert torch.equal(value, seen[-1][name])


def test_the_weights_come_back_when_what_is_done_with_the_mean_fails(model: torch.nn.Module) -> None:
    mean = WeightMean()
    seen = _moved(model, 2, mean)
    with pytest.raises(RuntimeError, match="stop"), mean.in_place(model):
        raise RuntimeError("stop")
    assert all(torch.equal(value, seen[-1][name]) for name, value in model.state_dict().items())


def test_it_goes_on_from_its_state_to_the_same_bits(model: torch.nn.Module) -> None:
    mean, again = WeightMean(), WeightMean()
    _moved(model, 2, mean)
    tensors, count = mean.state()
    again.restore({"other": torch.zeros(1), **{name: value.clone() for name, value in tensors.items()}}, count)
    _moved(model, 1, mean)
    again.add(model)
    with mean.in_place(model):
        first = {name: value.clone() for name, value in model.state_dict().items()}
    with again.in_place(model):
        assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())
    mean.forget()
    assert not mean.known


def test_of_very_many_weights_no_mean_is_kept(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(averaging, "SEEN_WHOLE", 5)
    mean = WeightMean()
    mean.add(model)
    assert not mean.known
    assert mean.state() == ({}, 0)
