"""The parameters of a module as one vector, and back."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from lazyrich.models import cnn, mlp, resnet, vit
from lazyrich.models.state import flatten_parameters, load_parameters, parameter_layout, unflatten_parameters

BUILDERS = {
    "mlp": (mlp.build, (12,)),
    "cnn": (cnn.build, (3, 8, 8)),
    "resnet": (resnet.build, (3, 8, 8)),
    "vit": (vit.build, (3, 8, 8)),
}


def network(architecture="mlp", seed=0, **spec):
    build, shape = BUILDERS[architecture]
    model = build({"width": 16, **spec}, shape, 2).double()
    model.reset_parameters(torch.Generator().manual_seed(seed))
    return model


def samples(architecture="mlp"):
    return torch.randn(5, *BUILDERS[architecture][1], generator=torch.Generator().manual_seed(99), dtype=torch.float64)


@pytest.mark.parametrize("architecture", BUILDERS)
def test_flatten_and_load_are_inverse(architecture):
    source, target = network(architecture, bias=True, seed=1), network(architecture, bias=True, seed=2)
    vector = flatten_parameters(source)
    load_parameters(target, vector)
    assert torch.equal(flatten_parameters(target), vector)
    assert torch.equal(source(samples(architecture)), target(samples(architecture)))
    assert vector.numel() == sum(parameter.numel() for parameter in source.parameters())
    vector.zero_()
    assert torch.any(source.readout.weight != 0)  # the vector is a copy


def test_layout_is_plain_data_in_the_order_of_definition():
    assert parameter_layout(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False))) == [
        {"name": "0.weight", "shape": [3, 2], "offset": 0},
        {"name": "0.bias", "shape": [3], "offset": 6},
        {"name": "2.weight", "shape": [1, 3], "offset": 9},
    ]


def test_a_shared_parameter_is_stored_once():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert len(flatten_parameters(model)) == 9
    load_parameters(model, torch.arange(9.0))
    assert torch.equal(model[1].weight.flatten(), torch.arange(9.0))


@pytest.mark.parametrize("architecture", BUILDERS)
def test_stacked_seeds_run_under_vmap(architecture):
    models = [network(architecture, seed=seed, bias=True, parametrization="mup") for seed in range(3)]
    stacked = torch.stack([flatten_parameters(model) for model in models])
    parameters = unflatten_parameters(stacked, parameter_layout(models[0]))
    assert parameters["readout.weight"].shape == (3, *models[0].readout.weight.shape)
    x = samples(architecture)
    skeleton = copy.deepcopy(models[0])
    together = vmap(lambda values: functional_call(skeleton, values, (x,)))(parameters)
    torch.testing.assert_close(together, torch.stack([model(x) for model in models]))


def test_wrong_vectors_are_explained():
    model = network()
    with pytest.raises(ValueError, match="entries and the layout"):
        load_parameters(model, torch.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        load_parameters(model, torch.zeros(2, 3))
    model.readout.float()
    with pytest.raises(ValueError, match=r"torch\.float32, torch\.float64"):
        flatten_parameters(model)
    with pytest.raises(ValueError, match="of ReLU are none"):
        flatten_parameters(nn.ReLU())
