"""The readout and the penultimate features of modules, ours and foreign."""

import pytest
import torch
from torch import nn

from lazyrich.models import cnn, mlp, resnet, vit
from lazyrich.models.features import penultimate_features, readout_layer


def network(**spec):
    model = mlp.build({"width": 16, **spec}, (12,), 2).double()
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def samples():
    return torch.randn(5, 12, generator=torch.Generator().manual_seed(99), dtype=torch.float64)


class Residual(nn.Module):
    """Not one of ours: definition order is not call order, dropout, batch norm, and a head that is never called."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5))
        self.embed = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)
        self.unused = nn.Linear(9, 2)

    def features(self, x):
        x = self.embed(x)
        return x + self.block(x)

    def forward(self, x):
        return self.head(self.features(x))


def test_readout_is_the_last_linear_layer_that_a_forward_reaches():
    model = Residual()
    assert readout_layer(model) is model.unused
    assert readout_layer(model, torch.zeros(1, 4)) is model.head
    for build in (cnn.build, resnet.build, vit.build):
        own = build({"width": 4}, (1, 8, 8), 2)
        assert readout_layer(own) is readout_layer(own, torch.zeros(1, 1, 8, 8)) is own.readout


@pytest.mark.parametrize("batch_size", [None, 1, 4, 100])
def test_features_of_a_foreign_residual_network(batch_size):
    torch.manual_seed(0)
    model, x = Residual(), torch.randn(10, 4)
    model.block[1].eval()
    found = penultimate_features(model, x, batch_size)
    modes = [module.training for module in model.modules()]
    assert modes == [True, True, True, False, True, True, True, True, True]  # each module has its own mode back
    model.eval()
    torch.testing.assert_close(found, model.features(x))
    assert not found.requires_grad
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_features_of_a_sequential_and_of_our_own():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 2))
    x = torch.randn(3, 1, 3, 4)
    torch.testing.assert_close(penultimate_features(plain, x), plain[:3](x).detach())
    model = network(hidden_layers=3, parametrization="mup")
    features = penultimate_features(model, samples(), batch_size=2)
    torch.testing.assert_close(model.readout(features), model(samples()))


def test_features_of_an_in_place_model_are_a_copy():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
    buffer = torch.randn(4, 2)
    identity = nn.Sequential(nn.Identity(), nn.Linear(2, 1))
    features = penultimate_features(identity, buffer)
    features.zero_()
    assert torch.any(buffer != 0)
    assert penultimate_features(model, buffer).shape == (4, 3)


def test_features_of_tokens_are_flattened():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    assert penultimate_features(model, torch.randn(3, 7, 5), batch_size=2).shape == (3, 28)


class RowsMerged(nn.Module):
    def __init__(self):
        super().__init__()
        self.readout = nn.Linear(5, 1)

    def forward(self, x):
        return self.readout(x.reshape(-1, 5))


def test_wrong_calls_for_features_are_explained():
    with pytest.raises(ValueError, match=r"Sequential calls no nn\.Linear"):
        penultimate_features(nn.Sequential(nn.Conv2d(1, 1, 3)), torch.zeros(1, 1, 5, 5))
    with pytest.raises(ValueError, match=r"Conv2d holds no nn\.Linear"):
        readout_layer(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match="batch_size is 0"):
        penultimate_features(network(), samples(), 0)
    with pytest.raises(ValueError, match="no samples"):
        penultimate_features(network(), samples()[:0])
    with pytest.raises(ValueError, match=r"shape \(21, 5\) for 3 samples"):
        penultimate_features(RowsMerged(), torch.zeros(3, 7, 5))
