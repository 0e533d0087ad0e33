"""The conjugate kernel against features read off by hand."""

import torch

from cases import CASES
from lazyrich.kernels.features import conjugate_kernel
from lazyrich.models.evaluation_mode import evaluation_mode


def test_is_the_gram_matrix_of_the_readout_inputs():
    case = next(case for case in CASES if "batch normalisation" in case.name)
    model, x1, x2 = case.model(), case.inputs(7), case.inputs(4, seed=2)
    with evaluation_mode(model), torch.no_grad():
        left, right = model[:-1](x1), model[:-1](x2)
    torch.testing.assert_close(conjugate_kernel(model, x1, x2, batch_size=3), left @ right.T, rtol=1e-12, atol=1e-12)
    symmetric = conjugate_kernel(model, x1, batch_size=3)
    torch.testing.assert_close(symmetric, left @ left.T, rtol=1e-12, atol=1e-12)
    assert torch.equal(symmetric, symmetric.T)
    assert model.training


def test_product_in_float64():
    case = next(case for case in CASES if case.dtype == torch.float32)
    assert conjugate_kernel(case.model(), case.inputs(3), dtype=torch.float64).dtype == torch.float64
