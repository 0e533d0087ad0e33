"""The three implementations of neural-tangents' `empirical_ntk_fn`, compiled whole or in batches (`nt.batch`), as tuned.

Source: Novak, Sohl-Dickstein and Schoenholz, "Fast finite width neural tangent kernel", arXiv 2206.08720.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

# neural-tangents imports these for a converter that nothing here calls, and together they weigh gigabytes.
for unused in ("tensorflow", "tf2jax", "jax.experimental.jax2tf"):
    sys.modules[unused] = MagicMock()

import jax  # noqa: E402
import neural_tangents  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from harness import models_jax  # noqa: E402
from harness.cases import Case  # noqa: E402
from harness.data import Data, weights_of  # noqa: E402

BATCHES = (500, 250, 100, 50, 25, 10)


class NeuralTangents:
    """One of the three implementations, with the interface of a module of `harness.implementations`."""

    def __init__(self, number: int) -> None:
        self.number = neural_tangents.NtkImplementation(number)

    def versions(self) -> dict[str, str]:
        return {"neural-tangents": neural_tangents.__version__, "jax": jax.__version__}

    def settings(self, case: Case) -> list[dict[str, Any]]:
        """Everything at once, then the three largest batches that divide the numbers of samples, as `nt.batch` asks."""
        sizes = [b for b in BATCHES if b < case.n and case.n % b == 0 and (case.columns or 0) % b == 0]
        return [{"batch": None}, *({"batch": size} for size in sizes[:3])]

    def prepare(self, case: Case, data: Data, setting: dict[str, Any]) -> Callable[[], jax.Array]:
        assert case.network is not None
        apply, parameters = models_jax.load(case.network, weights_of(data))
        # Mapping over samples is faster than not in every case here, by 3 to 130 times.
        kernel = neural_tangents.empirical_ntk_fn(
            apply, trace_axes=(-1,) if case.outputs == "trace" else (), vmap_axes=0, implementation=self.number
        )
        rows = models_jax.inputs(data["x1"])
        columns = None if case.columns is None else models_jax.inputs(data["x2"])
        if setting["batch"] is None:
            compiled = jax.jit(kernel).lower(rows, columns, parameters).compile()
            return lambda: compiled(rows, columns, parameters).block_until_ready()
        size = setting["batch"]
        batched = neural_tangents.batch(kernel, batch_size=size, device_count=0)
        batched(rows[:size], rows[:size] if columns is None else columns[:size], parameters).block_until_ready()
        return lambda: batched(rows, columns, parameters).block_until_ready()

    def to_array(self, case: Case, result: jax.Array) -> NDArray[np.floating]:
        return np.asarray(result)

    def matrix_product(self, size: int) -> Callable[[], jax.Array]:
        key = jax.random.PRNGKey(0)
        a = jax.random.normal(key, (size, size))
        product = jax.jit(lambda x, y: x @ y).lower(a, a).compile()
        return lambda: product(a, a).block_until_ready()


jacobian_contraction, ntk_vector_products, structured_derivatives = (NeuralTangents(number) for number in (1, 2, 3))
