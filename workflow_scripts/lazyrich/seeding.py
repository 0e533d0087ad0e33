"""Random number generators, each derived from what it is for; there is no global random state."""

import hashlib

import numpy as np
import torch


def derive(*purpose: object) -> int:
    """A 63-bit seed from the words and numbers that say what the randomness is for, e.g. ``("staircase_gap", 3, "weights")``."""
    digest = hashlib.sha256("\x1f".join(map(str, purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def torch_generator(*purpose: object) -> torch.Generator:
    """A CPU generator for ``purpose``: numbers are drawn on the CPU and moved, so that they do not depend on the device."""
    return torch.Generator().manual_seed(derive(*purpose))


def numpy_generator(*purpose: object) -> np.random.Generator:
    """A numpy generator (PCG64) for ``purpose``."""
    return np.random.Generator(np.random.PCG64(derive(*purpose)))
