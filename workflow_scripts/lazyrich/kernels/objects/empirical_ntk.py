"""The empirical neural tangent kernel as a stage of the workflow."""

import numpy as np
import torch

from lazyrich.kernels.layerwise.ntk import empirical_ntk


def compute(model: torch.nn.Module, rows: torch.Tensor, columns: torch.Tensor | None, options: dict) -> np.ndarray:
    """One tile of the NTK, (rows, columns): the trace over outputs divided by their number."""
    return empirical_ntk(model, rows, columns, outputs=options["outputs"]).cpu().numpy()
