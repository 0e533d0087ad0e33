"""The share of one layer in the empirical neural tangent kernel as a stage of the workflow."""

import numpy as np
import torch

from lazyrich.kernels.layerwise.ntk import layer_ntk


def compute(model: torch.nn.Module, rows: torch.Tensor, columns: torch.Tensor | None, options: dict) -> np.ndarray:
    """One tile of the kernel of the parameters of `layer`, (rows, columns): the trace over outputs divided by their number."""
    return layer_ntk(model, options["layer"], rows, columns, outputs=options["outputs"]).cpu().numpy()
