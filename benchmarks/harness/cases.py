"""What is measured: the networks, the sizes and the goals. Standard library only, so that every environment reads it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Kind = Literal["mlp", "cnn", "cnn-pooled", "resnet18"]
Problem = Literal["ntk", "nested-sizes", "ridge-path", "leading-eigenpairs"]

FASTEST = "fastest peer"


@dataclass(frozen=True)
class Network:
    """A network that torch and JAX build alike (`harness.models`, `harness.models_jax`).

    kind: "mlp" is 784 inputs and three hidden ReLU layers of `width`; "cnn" is two 3x3 ReLU convolutions of 64 and 128
        channels (`width` and twice that) with stride 2 on 32x32x3, flattened into a linear readout; "cnn-pooled" the same
        with stride 1 and average pooling by 2; "resnet18" the CIFAR form (3x3 stem) with `width` channels in the first
        stage and BatchNorm in eval mode. All have biases.
    """

    kind: Kind
    width: int
    outputs: int = 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, channels first."""
        return (784,) if self.kind == "mlp" else (3, 32, 32)


@dataclass(frozen=True)
class Goal:
    """Time of `against` over ours that is to be reached."""

    against: str
    ratio: float


@dataclass(frozen=True)
class Case:
    """One row of the benchmark.

    Problems: "ntk", the kernel of `network` on `n` samples (or between `n` and `columns` samples) in the form `outputs`;
    "nested-sizes", kernel regression with the first m of `n` samples for every m; "ridge-path", `count` ridges at `n`
    samples; "leading-eigenpairs", the first `count` of an (n, n) kernel.
    """

    name: str
    problem: Problem
    n: int
    network: Network | None = None
    columns: int | None = None
    outputs: Literal["trace", "full"] = "trace"
    count: int = 0
    goals: tuple[Goal, ...] = field(default=())
    gemm_fraction: float | None = None
    agreement: float = 1e-6

    @property
    def work(self) -> tuple[Any, ...]:
        """What is computed, on however many samples."""
        return self.problem, self.network, self.columns, self.outputs, self.count

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Case:
        network = values["network"]
        return cls(
            **{
                **values,
                "network": network and Network(**network),
                "goals": tuple(Goal(**goal) for goal in values["goals"]),
            }
        )


def _ntk(name: str, network: Network, n: int, *goals: Goal, **options: Any) -> Case:
    return Case(name, "ntk", n, network, goals=goals, **options)


MLP_512, MLP_1024, MLP_TEN = Network("mlp", 512), Network("mlp", 1024), Network("mlp", 512, outputs=10)
CNN, CNN_TEN, CNN_POOLED = Network("cnn", 64), Network("cnn", 64, outputs=10), Network("cnn-pooled", 64)
RESNET, RESNET_TEN = Network("resnet18", 16), Network("resnet18", 16, outputs=10)

CASES: tuple[Case, ...] = (
    _ntk("mlp-512-n1000", MLP_512, 1000, Goal("torch.func", 150)),
    _ntk("mlp-512-n4000", MLP_512, 4000, Goal(FASTEST, 3.2), gemm_fraction=0.75),
    _ntk("mlp-1024-n1000", MLP_1024, 1000),
    _ntk("mlp-1024-n4000", MLP_1024, 4000, Goal(FASTEST, 2.5), gemm_fraction=0.75),
    _ntk("mlp-512-10-outputs-trace-n1000", MLP_TEN, 1000, Goal(FASTEST, 3.5)),
    _ntk("mlp-512-cross-500x2000", MLP_512, 500, Goal("torch.func", 150), columns=2000),
    _ntk("cnn-n200", CNN, 200),
    _ntk("cnn-n500", CNN, 500, Goal(FASTEST, 2.5), gemm_fraction=0.60),
    _ntk("cnn-10-outputs-full-n100", CNN_TEN, 100, Goal(FASTEST, 3.5), outputs="full"),
    _ntk("cnn-pooled-n200", CNN_POOLED, 200),
    _ntk("resnet18-16-n100", RESNET, 100),
    _ntk("resnet18-16-n200", RESNET, 200, Goal(FASTEST, 2.0)),
    _ntk("resnet18-16-10-outputs-full-n50", RESNET_TEN, 50, Goal(FASTEST, 3.0), outputs="full"),
    Case("regression-every-m-n4000", "nested-sizes", 4000, count=16, goals=(Goal("LAPACK", 4.0),), agreement=1e-12),
    Case("regression-30-ridges-n2000", "ridge-path", 2000, count=30, goals=(Goal("LAPACK", 2.0),), agreement=1e-12),
    Case("spectrum-top-50-n4000", "leading-eigenpairs", 4000, count=50, goals=(Goal("LAPACK", 8.0),), agreement=1e-10),
)


def quick(case: Case) -> Case:
    """The same case, small enough that all take a minute or two, most of it compiling: for testing the harness."""
    if case.network is None:
        return replace(case, n=200, count=min(case.count, 4), goals=())
    deep = case.network.kind == "resnet18"
    width = {"mlp": 32, "cnn": 8, "cnn-pooled": 8, "resnet18": 4}[case.network.kind]
    network = replace(case.network, width=width, outputs=min(case.network.outputs, 2 if deep else 3))
    columns = None if case.columns is None else 17
    return replace(case, network=network, n=4 if deep else 12, columns=columns, goals=(), gemm_fraction=None)
