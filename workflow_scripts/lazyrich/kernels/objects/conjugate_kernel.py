"""The conjugate kernel as a stage of the workflow."""

import numpy as np
import torch

from lazyrich.kernels.features import conjugate_kernel


def compute(model: torch.nn.Module, rows: torch.Tensor, columns: torch.Tensor | None, options: dict) -> np.ndarray:
    """One tile of Phi Phi^T, (rows, columns), with Phi what enters `layer`; by default the readout."""
    return conjugate_kernel(model, rows, columns, layer=options.get("layer")).cpu().numpy()
