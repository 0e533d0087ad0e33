"""What gamma and the parametrizations promise of training: the lazy limit, and features that move alike at every width."""

import math

import pytest
import torch
from torch.func import functional_call, jacrev

from lazyrich.models.parametrization import learning_rate_scale
from small_runs import finish, network, samples

CPU = torch.device("cpu")


def linearised(found, steps, rate, probe):
    """f_t(x) - f_0(x) of gradient descent on the linearisation at initialisation, with explicit Jacobians (n, C, P)."""
    parameters = {name: value.detach() for name, value in found.module.named_parameters()}

    def jacobian(inputs):
        parts = jacrev(lambda values: functional_call(found.module, values, (inputs,)))(parameters)
        return torch.cat([part.flatten(2) for part in parts.values()], dim=2)

    own, other, targets = jacobian(found.train.inputs), jacobian(probe), found.train.targets
    moved = torch.zeros(own.shape[2], dtype=torch.float64)
    for _ in range(steps):
        moved -= rate * torch.einsum("ncp,nc->p", own, 2 * (own @ moved - targets)) / targets.numel()
    return other @ moved


@pytest.mark.parametrize("parametrization", ["ntk", "mup", "standard"])
def test_small_gamma_is_the_linearised_network(parametrization):
    """Chizat et al.: as gamma goes to 0 training follows the NTK; the distance shrinks with gamma."""
    errors = {}
    for gamma in (1.0, 0.1, 0.01):
        model = {"gamma": gamma, "parametrization": parametrization, "width": 32, "activation": "tanh"}
        rate = 0.02 if parametrization == "standard" else 0.3
        training = {"precision": "float64", "batch_size": "full", "max_steps": 60, "learning_rate": rate}
        found = finish([network(0, model, training)])[0]
        start = network(0, model, training)
        start.module.double()
        start.train = start.train.to(CPU, torch.float64)
        probe = samples(10, (6,), 2, seed=5).inputs.double()
        expected = linearised(start, 60, rate * learning_rate_scale(found.member.model, start.module), probe)
        with torch.no_grad():
            before = start.module(probe)
            torch.nn.utils.vector_to_parameters(found.checkpoints[-1][1], start.module.parameters())
            moved = start.module(probe) - before
        errors[gamma] = float((moved - expected).norm() / expected.norm())
    assert errors[0.01] < 0.01
    assert errors[0.01] < 0.2 * errors[0.1] < 0.1 * errors[1.0]


def change_of_features(parametrization, width, learning_rate):
    """Root mean square change of the last hidden layer's pre-activations in five steps, over four seeds."""
    model = {"parametrization": parametrization, "width": width, "activation": "tanh"}
    training = {"precision": "float64", "max_steps": 5, "learning_rate": learning_rate, "batch_size": "full"}
    networks = finish([network(seed, model, training, outputs=1) for seed in range(4)])
    inputs, squares = samples(16, (6,), 1, seed=5).inputs.double(), []
    for found in networks:
        hidden = []
        for _, vector in (found.checkpoints[0], found.checkpoints[-1]):
            torch.nn.utils.vector_to_parameters(vector, found.module.parameters())
            with torch.no_grad():
                hidden.append(found.module.hidden[1](torch.tanh(found.module.hidden[0](inputs))))
        squares.append(float((hidden[1] - hidden[0]).square().mean()))
    return math.sqrt(sum(squares) / len(squares))


def test_features_move_alike_at_every_width_in_mup_and_in_no_other():
    """In muP by an amount that does not depend on the width N; in NTK parametrization by 1/sqrt(N) of it."""
    mup = [change_of_features("mup", width, 0.5) for width in (64, 256)]
    ntk = [change_of_features("ntk", width, 0.5) for width in (64, 256)]
    standard = [change_of_features("standard", width, 0.005) for width in (64, 256)]
    assert mup[1] / mup[0] == pytest.approx(1, abs=0.15)
    assert ntk[1] / ntk[0] == pytest.approx(0.5, abs=0.1)
    assert standard[1] / standard[0] > 1.5
