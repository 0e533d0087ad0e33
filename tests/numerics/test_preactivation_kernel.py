"""The pre-activation tangent kernel against gradients by hand, and its part in the NTK."""

import pytest
import torch
from torch import nn

from cases import SharedLayer
from lazyrich.kernels.features import conjugate_kernel
from lazyrich.kernels.layerwise.ntk import layer_ntk
from lazyrich.kernels.preactivation import preactivation_tangent_kernel


def network():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    generator = torch.Generator().manual_seed(0)
    return model, *(torch.randn(n, 4, dtype=torch.float64, generator=generator) for n in (7, 4))


@pytest.mark.parametrize("batch_size", [2, 512])
def test_gradients_by_hand(batch_size):
    """With h the second pre-activation, grad_h f_c = (1 - tanh^2 h) * w_c."""
    model, x, z = network()

    def gradients(inputs):
        with torch.no_grad():
            h = model[2](torch.relu(model[0](inputs)))
            return (1 - torch.tanh(h) ** 2)[:, None] * model[4].weight

    expected = torch.einsum("aci,bci->ab", gradients(x), gradients(z)) / 3
    torch.testing.assert_close(
        preactivation_tangent_kernel(model, "2", x, z, batch_size=batch_size), expected, rtol=1e-12, atol=1e-14
    )
    symmetric = preactivation_tangent_kernel(model, "2", x, batch_size=batch_size)
    assert torch.equal(symmetric, symmetric.T)


@pytest.mark.parametrize("layer", ["0", "2", "4"])
def test_with_the_conjugate_kernel_it_makes_the_layers_share_of_the_ntk(layer):
    model, x, z = network()
    for module in model:
        if isinstance(module, nn.Linear):
            module.bias.requires_grad_(False)
    for other in (None, z):
        product = preactivation_tangent_kernel(model, layer, x, other) * conjugate_kernel(model, x, other, layer=layer)
        torch.testing.assert_close(layer_ntk(model, layer, x, other), product, rtol=1e-12, atol=1e-13)


def test_what_is_no_single_pre_activation_is_refused():
    shared = SharedLayer()
    x = torch.randn(3, 5)
    with pytest.raises(ValueError, match="called 2 times in a pass"):
        preactivation_tangent_kernel(shared, "shared", x)
    with pytest.raises(ValueError, match="has no layer 'shard'; did you mean 'shared'"):
        preactivation_tangent_kernel(shared, "shard", x)
