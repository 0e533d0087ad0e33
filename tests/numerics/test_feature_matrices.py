"""Feature covariance and gradient outer product against per-sample Jacobians, and the identity between them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import jacrev

from cases import CASES, Residual
from lazyrich.metrics.feature_matrices import (
    average_gradient_outer_product,
    effective_weight,
    feature_moments,
    layer_gradients,
    neural_feature_matrix,
    ptk_feature_covariance,
)
from lazyrich.models.layers import Linear

#: Networks whose linear layers are not all modules that are called on one block of rows for each sample: feature matrices, which are
#: those of modules, refuse them or have nothing to say.
WITHOUT_PLAIN_LINEAR_LAYERS = {
    "embedding tied to the readout", "attention", "transformer layer", "vision transformer", "transposed and sliced parameters",
    "positions merged into samples",
}  # fmt: skip

IN_FLOAT64 = [case for case in CASES if case.dtype == torch.float64]
WITH_LINEAR_LAYERS = [case for case in IN_FLOAT64 if case.name not in WITHOUT_PLAIN_LINEAR_LAYERS]
WITH_INPUT_GRADIENTS = [case for case in IN_FLOAT64 if case.tokens is None]


def moments_by_jacobians(layers, activation, x):
    """(K, G) of every layer of a multilayer perceptron, from Jacobians of its upper part, one sample at a time."""

    def upper(i, h):
        """Network output from the pre-activation of layer i."""
        for layer in layers[i + 1 :]:
            h = layer(activation(h))
        return h

    moments = []
    for i, layer in enumerate(layers):
        K, G = (torch.zeros(size, size, dtype=x.dtype) for size in (layer.out_features, layer.in_features))
        for sample in x:
            inputs = sample
            for lower in layers[:i]:
                inputs = activation(lower(inputs))
            of_outputs = jacrev(lambda h, i=i: upper(i, h))(layer(inputs)).detach()
            of_inputs = jacrev(lambda z, i=i: upper(i, layers[i](z)))(inputs).detach()
            K += of_outputs.T @ of_outputs
            G += of_inputs.T @ of_inputs
        moments.append((K.numpy() / len(x), G.numpy() / len(x)))
    return moments


@pytest.mark.parametrize(
    "name", ["relu", "relu in place, no bias, scalar", "tanh", "multipliers", "frozen first layer"]
)
def test_equal_per_sample_jacobians(name):
    case = next(case for case in CASES if case.name == name)
    model, x = case.model(), case.inputs(9)
    layers = case.linear_layers(model)
    expected = moments_by_jacobians(layers, torch.tanh if name == "tanh" else torch.relu, x)
    for layer, moments, (K, G) in zip(layers, feature_moments(model, x, layers, batch_size=4), expected, strict=True):
        np.testing.assert_allclose(moments.covariance, K, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(moments.outer_product, G, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ptk_feature_covariance(model, x, layer), K, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(average_gradient_outer_product(model, x, layer), G, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", WITH_LINEAR_LAYERS, ids=lambda case: case.name)
def test_outer_product_is_the_covariance_between_two_weights(case):
    """G = W^T K W, beside skip connections, with multipliers, and for one call per sample.

    A layer that is called on several rows sums over them in K and in G alike, so the identity stays.
    """
    model, x = case.model(), case.inputs(6)
    layers = case.linear_layers(model)
    for layer, moments in zip(layers, feature_moments(model, x, layers), strict=True):
        W = effective_weight(layer)
        np.testing.assert_allclose(W.T @ moments.covariance @ W, moments.outer_product, rtol=1e-10, atol=1e-12)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("case", WITH_INPUT_GRADIENTS, ids=lambda case: case.name)
def test_gradients_of_the_network_inputs(case):
    model, x = case.model().eval(), case.inputs(5)
    expected = np.zeros((x[0].numel(), x[0].numel()))
    for sample in x:
        jacobian = jacrev(lambda z: model(z[None]).reshape(-1))(sample).detach().flatten(1).numpy()
        expected += jacobian.T @ jacobian / len(x)
    np.testing.assert_allclose(average_gradient_outer_product(model, x, batch_size=2), expected, rtol=1e-10, atol=1e-12)


def test_skip_connections_do_not_count():
    block = Residual(4).double()
    x = torch.randn(3, 4, dtype=torch.float64)
    inputs = layer_gradients(block, x, [block.layer])[0].inputs
    normalised = block.normalisation(x).detach().requires_grad_()
    torch.tanh(block.layer(normalised)).sum().backward()
    torch.testing.assert_close(inputs.sum(dim=(1, 2)), normalised.grad)


def test_shapes_and_positions():
    case = next(case for case in CASES if case.name == "shared layer")
    model = case.model()
    shared, readout = layer_gradients(model, case.inputs(3), [model.shared, model.readout])
    assert shared.inputs.shape == (3, 2, 2, 5)
    assert readout.inputs.shape == (3, 2, 1, 5)
    assert readout.outputs.shape == (3, 2, 1, 2)
    tokens = next(case for case in CASES if case.name == "tokens")
    model = tokens.model()
    assert layer_gradients(model, tokens.inputs(3), [model[0]])[0].outputs.shape == (3, 2, 2, 4)


def test_effective_weight_and_neural_feature_matrix():
    layer = Linear(3, 2, multiplier=0.5)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    W = layer.weight.detach().double().numpy()
    np.testing.assert_array_equal(effective_weight(layer), 0.5 * W)
    np.testing.assert_allclose(neural_feature_matrix(effective_weight(layer)), 0.25 * W.T @ W, rtol=1e-14)
    np.testing.assert_allclose(neural_feature_matrix(layer.weight), W.T @ W, rtol=1e-14)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        neural_feature_matrix(np.ones(3))


def test_errors_say_what_is_wrong():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="not an nn.Linear inside"):
        layer_gradients(model, x, [nn.Linear(3, 2)])
    with pytest.raises(ValueError, match="not an nn.Linear inside"):
        layer_gradients(model, x, [model[1]])
    with pytest.raises(ValueError, match="0 samples"):
        feature_moments(model, x[:0], [model[0]])
    unused = nn.Sequential(nn.Linear(3, 1))
    unused[0].spare = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="saw inputs of shapes"):
        layer_gradients(unused, x, [unused[0].spare])
