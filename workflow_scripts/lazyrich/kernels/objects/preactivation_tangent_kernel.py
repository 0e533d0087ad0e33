"""The pre-activation tangent kernel of one layer as a stage of the workflow."""

import numpy as np
import torch

from lazyrich.kernels.preactivation import preactivation_tangent_kernel


def compute(model: torch.nn.Module, rows: torch.Tensor, columns: torch.Tensor | None, options: dict) -> np.ndarray:
    """One tile of the kernel of the gradients with respect to what leaves `layer`, (rows, columns)."""
    return preactivation_tangent_kernel(model, options["layer"], rows, columns).cpu().numpy()
