"""The centered neural feature ansatz at the start of training: measured, and predicted from the initial network."""

from collections.abc import Iterator

import torch

from lazyrich.metrics import ansatz
from lazyrich.metrics.feature_matrices import effective_weight, feature_moments, linear_layer
from lazyrich.metrics.member import MemberData, Row
from lazyrich.theory.early_time import early_time_correlation
from lazyrich.theory.free_probability import quadratic_network_cumulants, random_matrix_correlation


def measure(member: MemberData, layers: list[int]) -> Iterator[Row]:
    """For each hidden layer of ``layers`` (numbered from 0), over all training inputs, cosines:

    - ``early_time_nfa_predicted``, at initialisation = rho(Wdot^T Wdot, Wdot^T K_0 Wdot), the limit of the C-NFA for t -> 0 in any
      network (see `lazyrich.theory.early_time`). NaN where the first gradient vanishes.
    - ``early_time_nfa_random_matrix``, at initialisation: the prediction for random weights from the data and the readout alone (see
      `lazyrich.theory.free_probability`), of the first layer of a bias-free MLP with one hidden layer, activation ``quadratic`` and
      one output; others have no row. It takes the residuals for independent of the weights, so train it ``centered``; without, the
      residuals y - f_0 have a part that is not, and the prediction is too low, by 0.01 to 0.04 where f_0 is as large as y.
    - ``early_time_nfa_measured``, at the first checkpoint after 0 = rho(Wbar^T Wbar, Wbar^T K Wbar) with the K of that checkpoint; no
      row if the layer has not moved.

    The measured one is near the predicted one only if training starts as gradient flow does: full batches, ``sgd`` or ``momentum``
    without weight decay, a checkpoint soon after 0 (``first: 1``) and a small step. Too small a one drowns in rounding: a relative change of
    the weights of 1e-4 has 3 digits in float32; use ``precision: float64`` below.

    Source: Beaglehole et al., arXiv 2402.05271.
    """
    inputs = member.train.inputs.double()
    first = member.steps[0]
    initial, residuals = member.model(first), _residuals(member)
    names = [f"hidden.{number}" for number in layers]
    modules = [linear_layer(initial, name) for name in names]
    for name, value in zip(names, early_time_correlation(initial, inputs, residuals, modules), strict=True):
        yield Row("early_time_nfa_predicted", value, first, name)
        if name == "hidden.0" and _is_quadratic(member):
            X = inputs.flatten(1).numpy()
            readout = effective_weight(linear_layer(initial, "readout"))[0]
            cumulants = quadratic_network_cumulants(readout, X.shape[1])
            value = random_matrix_correlation(X, residuals.numpy(), cumulants)
            yield Row("early_time_nfa_random_matrix", value, first, name)
    for step in member.steps[1:2]:
        model = member.model(step)
        moved = [linear_layer(model, name) for name in names]
        moments = feature_moments(model, inputs, moved)
        for name, before, after, moment in zip(names, modules, moved, moments, strict=True):
            change = effective_weight(after) - effective_weight(before)
            if change.any():
                value = ansatz.uncentered_correlation(change, moment.covariance)
                yield Row("early_time_nfa_measured", value, step, name)


def _residuals(member: MemberData) -> torch.Tensor:
    """Less the gradient of each sample's loss at the initial outputs, but for a factor, (n, outputs): y - f_0 of the squared error;
    of cross-entropy onehot(label) - softmax(f_0). f_0 is 0 if the network is centred."""
    train = member.train
    targets, outputs = train.targets.double(), member.outputs(member.steps[0], train.inputs)
    if member.training_spec["loss"] == "mse" or train.labels is None:
        return targets - outputs
    return torch.nn.functional.one_hot(train.labels, outputs.shape[1]) - outputs.softmax(dim=1)


def _is_quadratic(member: MemberData) -> bool:
    """Whether the network is f(x) = a^T (W x)^{o2}."""
    model = member.model_spec
    known = {"architecture": "mlp", "hidden_layers": 1, "activation": "quadratic", "bias": False}
    return all(model.get(key) == value for key, value in known.items()) and member.train.targets.shape[1] == 1
