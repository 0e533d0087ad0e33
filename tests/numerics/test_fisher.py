"""The Fisher spectrum through the tangent kernel against the matrix itself, from per-sample Jacobians."""

import numpy as np
import pytest
import torch

from cases import CASES
from lazyrich.kernels.layerwise.ntk import empirical_ntk
from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.fisher import fisher_eigenvalues, fisher_output_traces
from lazyrich.metrics.participation import participation_ratio
from small_runs import DIGITS, dataset, measure, member_data, run_spec, seeds, train


def jacobians(model, x):
    """(n, C, parameters), one sample and output at a time."""
    parameters = list(model.parameters())
    rows = []
    for sample in x:
        outputs = model(sample[None])[0]
        gradients = [torch.autograd.grad(output, parameters, retain_graph=True) for output in outputs]
        rows.append(torch.stack([torch.cat([part.reshape(-1) for part in gradient]) for gradient in gradients]))
    return torch.stack(rows).detach().numpy()


@pytest.mark.parametrize("name", ["tanh", "multipliers", "convolution and batch normalisation"])
def test_equals_the_spectrum_of_the_matrix_itself(name):
    case = next(case for case in CASES if case.name == name)
    model, x = case.model().eval(), case.inputs(6)
    J = jacobians(model, x)
    F = np.einsum("acp,acq->pq", J, J) / 6
    kernel = empirical_ntk(model, x, outputs="full")
    found, expected = fisher_eigenvalues(kernel), np.linalg.eigvalsh(F)[::-1]
    assert found.shape == (6 * case.outputs,)
    count = min(len(found), len(expected))
    np.testing.assert_allclose(found[:count], expected[:count], atol=1e-10 * expected[0])
    np.testing.assert_allclose(np.append(found[count:], expected[count:]), 0, atol=1e-10 * expected[0])
    np.testing.assert_allclose(fisher_output_traces(kernel), np.square(J).sum(axis=(0, 2)) / 6, rtol=1e-10)
    assert participation_ratio(found) == pytest.approx(np.trace(F) ** 2 / np.sum(F * F), rel=1e-9)


def test_of_a_linear_map_is_the_second_moment_of_its_inputs():
    """F = I_C x (1/n) sum_a x_a x_a^T: orthogonal inputs of lengths 1 and 2 and three outputs."""
    x = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]).double()
    model = torch.nn.Linear(3, 3, bias=False).double()
    kernel = empirical_ntk(model, x, outputs="full")
    np.testing.assert_allclose(fisher_eigenvalues(kernel), [2, 2, 2, 0.5, 0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(fisher_output_traces(kernel), [2.5] * 3)


def test_is_the_hessian_of_the_loss_of_a_linear_model():
    """Of (1/2n) sum_a ||f(x_a) - y_a||^2, where the Gauss-Newton matrix is the whole Hessian; the mse has 2/C of it."""
    torch.manual_seed(0)
    model, x, y = torch.nn.Linear(3, 2).double(), torch.randn(4, 3).double(), torch.randn(4, 2).double()

    def loss(weight, bias):
        return (x @ weight.T + bias - y).square().mean()

    blocks = torch.autograd.functional.hessian(loss, (model.weight.detach(), model.bias.detach()))
    H = torch.cat(
        [torch.cat([b.reshape(rows, -1) for b in line], 1) for rows, line in zip((6, 2), blocks, strict=True)]
    )
    values = fisher_eigenvalues(empirical_ntk(model, x, outputs="full"))
    np.testing.assert_allclose(2 / 2 * values, np.linalg.eigvalsh(H.numpy())[::-1], atol=1e-12)


def test_participation_ratio_by_hand():
    assert participation_ratio([5.0] * 4) == pytest.approx(4)
    assert participation_ratio([3.0, 1.0, 0.0]) == pytest.approx(16 / 10)
    assert participation_ratio([1e200, 1e200]) == pytest.approx(2)
    assert np.isnan(participation_ratio([0.0]))
    with pytest.raises(ValueError, match="not finite"):
        participation_ratio([np.inf])
    weights = np.random.default_rng(0).exponential(size=30)
    assert participation_ratio(weights) < effective_dimension(weights)


def test_kernels_of_another_kind_are_refused():
    for shape in ((4, 4), (4, 3, 2, 2), (4, 4, 2, 1)):
        with pytest.raises(ValueError, match='outputs="full"'):
            fisher_eigenvalues(np.ones(shape))
    with pytest.raises(ValueError, match="not finite"):
        fisher_output_traces(np.full((2, 2, 1, 1), np.nan))


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
def test_rows_of_a_trained_network(tmp_path, architecture):
    data = dataset(tmp_path, DIGITS)
    run = train(tmp_path, data, run_spec(seeds(1), model={"architecture": architecture, "width": 4}))
    table = measure(tmp_path, {"fisher": {"samples": 5}}, member_data(run, data))
    assert {row["stage"] for row in table} == {"initial", "final"}
    for stage, step in (("initial", 0), ("final", 20)):
        J = jacobians(run.model("seed-0", step).double(), data.split(0, "probe").inputs[:5].double())
        rows = J.reshape(50, -1)
        values = np.linalg.svd(rows, compute_uv=False) ** 2 / 5
        shares = values[values > 1e-12 * values[0]] / values.sum()
        found = {row["metric"]: row["value"] for row in table if row["stage"] == stage}
        traces = {row["argument"]: row["value"] for row in table if row["stage"] == stage and "argument" in row}
        assert found["fisher_trace"] == pytest.approx(values.sum(), rel=1e-9)
        assert found["fisher_effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-8)
        assert found["fisher_participation_ratio"] == pytest.approx(1 / np.square(shares).sum(), rel=1e-8)
        assert traces == pytest.approx(dict(enumerate(np.square(J).sum(axis=(0, 2)) / 5)), rel=1e-9)
