"""The reference NTK against an explicit loop of reverse-mode gradients, and against nngeometry."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from cases import CASES, Case
from lazyrich.kernels.empirical_ntk_reference import OUTPUTS, empirical_ntk
from lazyrich.models.evaluation_mode import evaluation_mode


def jacobian_by_loop(model, x):
    """(n, C, parameters), one autograd call per sample and output."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = []
    with evaluation_mode(model):
        for sample in x:
            outputs = model(sample[None]).reshape(-1)
            gradients = [torch.autograd.grad(out, parameters, retain_graph=True, allow_unused=True) for out in outputs]
            rows.append(
                torch.stack(
                    [
                        torch.cat(
                            [
                                torch.zeros_like(p).ravel() if g is None else g.ravel()
                                for g, p in zip(gs, parameters, strict=True)
                            ]
                        )
                        for gs in gradients
                    ]
                )
            )
    return torch.stack(rows)


def kernel_by_loop(model, x1, x2, outputs):
    full = torch.einsum("acp,bdp->abcd", jacobian_by_loop(model, x1), jacobian_by_loop(model, x2))
    diagonal = torch.diagonal(full, dim1=2, dim2=3)
    return {"full": full, "class-diagonal": diagonal, "trace": diagonal.mean(dim=2)}[outputs]


def relative_error(a, b):
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_equals_a_loop_over_samples_and_outputs(case: Case, outputs):
    model, x1, x2 = case.model(), case.inputs(5), case.inputs(3, seed=2)
    tolerance = 1e-10 if case.dtype == torch.float64 else 1e-5
    kernel = empirical_ntk(model, x1, x2, outputs=outputs, batch_size=2)
    assert kernel.dtype == case.dtype
    assert relative_error(kernel, kernel_by_loop(model, x1, x2, outputs)) < tolerance
    symmetric = empirical_ntk(model, x1, outputs=outputs, batch_size=2)
    assert relative_error(symmetric, kernel_by_loop(model, x1, x1, outputs)) < tolerance
    swapped = symmetric.transpose(0, 1)
    assert torch.equal(symmetric, swapped.transpose(2, 3) if outputs == "full" else swapped)


@settings(max_examples=15, deadline=None)
@given(n1=st.integers(1, 6), n2=st.integers(1, 6), batch_size=st.integers(1, 7), outputs=st.sampled_from(OUTPUTS))
def test_tiles_do_not_show(n1, n2, batch_size, outputs):
    case = CASES[0]
    model, x1, x2 = case.model(), case.inputs(n1), case.inputs(n2, seed=2)
    tiled = empirical_ntk(model, x1, x2, outputs=outputs, batch_size=batch_size)
    whole = empirical_ntk(model, x1, x2, outputs=outputs)
    starved = empirical_ntk(model, x1, x2, outputs=outputs, memory_budget=1)
    torch.testing.assert_close(tiled, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(starved, whole, rtol=1e-12, atol=1e-12)


def test_float64_of_a_float32_model():
    case = next(case for case in CASES if case.dtype == torch.float32)
    model, x = case.model(), case.inputs(4)
    kernel = empirical_ntk(model, x, dtype=torch.float64)
    assert kernel.dtype == torch.float64
    assert next(model.parameters()).dtype == torch.float32
    expected = kernel_by_loop(case.model().double(), x.double(), x.double(), "trace")
    assert relative_error(kernel, expected) < 1e-12


def test_modes_and_buffers_are_left_alone():
    case = next(case for case in CASES if "batch normalisation" in case.name)
    model = case.model()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    buffers = [buffer.clone() for buffer in model.buffers()]
    empirical_ntk(model, case.inputs(4))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    with pytest.raises(RuntimeError):
        empirical_ntk(model, torch.zeros(2, 4))
    assert model.training


def test_errors_say_what_is_wrong():
    model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match="'diagonal'"):
        empirical_ntk(model, torch.zeros(2, 2), outputs="diagonal")
    with pytest.raises(ValueError, match="batch_size=0"):
        empirical_ntk(model, torch.zeros(2, 2), batch_size=0)
    with pytest.raises(ValueError, match="requires_grad_"):
        empirical_ntk(model.requires_grad_(False), torch.zeros(2, 2))


def test_equals_nngeometry():
    gram_matrix = pytest.importorskip("nngeometry.gram").GramMatrix
    case = next(case for case in CASES if case.name == "tanh")
    model, x = case.model().eval(), case.inputs(5)
    loader = DataLoader(TensorDataset(x, torch.zeros(5)), batch_size=5)
    gram = gram_matrix(model, loader, function=lambda *d: model(d[0])).to_torch()
    # nngeometry orders the axes as output, sample, output, sample.
    assert relative_error(gram.permute(1, 3, 0, 2), empirical_ntk(model, x, outputs="full")) < 1e-12
