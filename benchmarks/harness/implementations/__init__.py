"""The implementations. The module (or object) of each defines:

- `versions()`: the versions of the libraries it runs on;
- `settings(case)`: what it may tune (tile or batch sizes), most promising first; one of them is `{}` if there is nothing;
- `prepare(case, data, setting)`: a function without arguments that computes the result once. Everything that a user does
  once (build the network, compile) happens here, outside the timing; raises `Unsupported` with the reason;
- `to_array(case, result)`: the result as a NumPy array in the convention of `lazyrich.kernels.empirical_ntk`;
- `matrix_product(size)`: a function that multiplies two float32 matrices of that size, to measure the machine's peak as
  this framework reaches it. Not needed where no network is involved.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.cases import Problem

OURS = "lazyrich"


class Unsupported(Exception):
    """This implementation cannot compute this case; the message says why."""


class Implementation(NamedTuple):
    """The environment it runs in, and where each problem that it solves is found: module, or module:attribute."""

    environment: str
    sources: dict[Problem, str]


def _solvers(source: str) -> dict[Problem, str]:
    return {"nested-sizes": source, "ridge-path": source, "leading-eigenpairs": source}


IMPLEMENTATIONS: dict[str, Implementation] = {
    OURS: Implementation("main", {"ntk": "lazyrich_kernels", **_solvers("lazyrich_solvers")}),
    "torch.func": Implementation("main", {"ntk": "torch_func"}),
    "nngeometry": Implementation("peers", {"ntk": "nngeometry_gram"}),
    "neural-tangents structured": Implementation("jax", {"ntk": "neural_tangents_kernels:structured_derivatives"}),
    "neural-tangents Jacobian": Implementation("jax", {"ntk": "neural_tangents_kernels:jacobian_contraction"}),
    "neural-tangents NTK-vector": Implementation("jax", {"ntk": "neural_tangents_kernels:ntk_vector_products"}),
    "LAPACK": Implementation("main", _solvers("lapack")),
}
