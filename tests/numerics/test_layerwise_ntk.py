"""The fast NTK against the reference, on every network, along every route, in every cut."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cases import CASES, UNKNOWN_LAYERS, Case
from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.empirical_ntk_reference import OUTPUTS
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk as reference
from lazyrich.kernels.layerwise import forming, ntk, routes
from lazyrich.kernels.layerwise.ntk import empirical_ntk, layer_ntk, stacked_empirical_ntk
from lazyrich.kernels.layerwise.tiles import lower_triangle, rectangle
from lazyrich.models.mlp import build
from lazyrich.models.state import flatten_parameters, parameter_layout, unflatten_parameters

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")

KNOWN = [case for case in CASES if case.dtype == torch.float64]


def relative_error(a, b):
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


def without_warnings(*arguments, **options):
    """The kernel, of a network of which every layer is to be known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the layers of")
        return empirical_ntk(*arguments, **options)


def transposed(kernel):
    swapped = kernel.transpose(0, 1)
    return swapped.transpose(2, 3) if kernel.ndim == 4 else swapped


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_equals_the_reference(case: Case, outputs):
    model, x1, x2 = case.model(), case.inputs(6), case.inputs(4, seed=2)
    tolerance = 1e-12 if case.dtype == torch.float64 else 1e-6
    expected = reference(model, x1, outputs=outputs, dtype=torch.float64)
    # A network whose kernel is constant (all units dead, say) would compare nothing.
    assert expected.std() > 1e-3 * expected.abs().max()
    symmetric = without_warnings(model, x1, outputs=outputs)
    assert symmetric.dtype == case.dtype and not symmetric.requires_grad
    assert relative_error(symmetric, expected) < tolerance
    assert torch.equal(symmetric, transposed(symmetric))
    cross = without_warnings(model, x1, x2, outputs=outputs)
    assert relative_error(cross, reference(model, x1, x2, outputs=outputs, dtype=torch.float64)) < tolerance


@pytest.mark.parametrize("kind", ["vector", "positions", "gradients"])
@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case.name)
def test_every_route_gives_the_same(case: Case, kind, monkeypatch):
    """Each parameter along the given route, where it has it, however many operations that takes."""
    options = routes.options
    found = []

    def only(parameter, uses, outputs, per_pair):
        every = options(parameter, uses, outputs, per_pair, every=True)
        chosen = [route for route in every if route.kind == kind] or every
        found.extend(route.kind for route in chosen)
        return chosen

    monkeypatch.setattr(routes, "options", only)
    monkeypatch.setattr(forming, "PATCHES", 40)
    model, x1, x2 = case.model(), case.inputs(5), case.inputs(3, seed=2)
    for outputs in OUTPUTS:
        assert (
            relative_error(without_warnings(model, x1, outputs=outputs), reference(model, x1, outputs=outputs)) < 1e-12
        )
        cross = without_warnings(model, x1, x2, outputs=outputs)
        assert relative_error(cross, reference(model, x1, x2, outputs=outputs)) < 1e-12
    if "convolution" in case.name:
        assert kind in found


@settings(max_examples=25, deadline=None)
@given(
    n1=st.integers(1, 9), n2=st.integers(1, 9), budget=st.integers(1, 60_000), outputs=st.sampled_from(OUTPUTS),
    case=st.sampled_from([case for case in KNOWN if case.name in ("relu", "strides, dilation and groups", "tokens")]),
)  # fmt: skip
def test_blocks_do_not_show(n1, n2, budget, outputs, case):
    model, x1, x2 = case.model(), case.inputs(n1), case.inputs(n2, seed=2)
    starved = empirical_ntk(model, x1, outputs=outputs, memory_budget=budget)
    torch.testing.assert_close(starved, empirical_ntk(model, x1, outputs=outputs), rtol=1e-12, atol=1e-12)
    assert torch.equal(starved, transposed(starved))
    cross = empirical_ntk(model, x1, x2, outputs=outputs, memory_budget=budget)
    torch.testing.assert_close(cross, empirical_ntk(model, x1, x2, outputs=outputs), rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 400), edge=st.integers(20, 300))
def test_tiles_cover_the_lower_triangle_once(n, edge):
    times = torch.zeros(n, n, dtype=torch.long)
    for rows, columns in lower_triangle(n, edge):
        times[rows, columns] += 1
    assert bool((times.tril() == torch.ones(n, n, dtype=torch.long).tril()).all())


@settings(max_examples=30, deadline=None)
@given(n1=st.integers(1, 40), n2=st.integers(1, 40), edge=st.integers(1, 50))
def test_tiles_cover_the_rectangle_once(n1, n2, edge):
    times = torch.zeros(n1, n2, dtype=torch.long)
    for rows, columns in rectangle(n1, n2, edge):
        times[rows, columns] += 1
    assert bool((times == 1).all())


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize(("case", "names"), UNKNOWN_LAYERS, ids=lambda value: getattr(value, "name", ""))
def test_unknown_layers_are_left_to_the_reference_and_named(case, names, outputs):
    model, x = case.model(), case.inputs(4)
    with pytest.warns(UserWarning, match="leaves them to the slow reference") as caught:
        kernel = empirical_ntk(model, x, outputs=outputs)
    (message,) = [str(warning.message) for warning in caught if "the layers of" in str(warning.message)]
    named = {entry.split(" (")[0] for entry in message.rsplit(": ", 1)[1].split(", ")}
    assert named == names
    assert relative_error(kernel, reference(model, x, outputs=outputs)) < 1e-12


class BatchStatistics(nn.Module):
    """Outputs that depend on the company: no kernel of single samples, other than that of samples alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(torch.tanh(x)) - self.layer(x).mean(0, keepdim=True)


def test_samples_that_see_each_other_are_left_to_the_reference():
    model = BatchStatistics().double()
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="depend on the other samples"):
        kernel = empirical_ntk(model, x)
    assert relative_error(kernel, reference(model, x)) < 1e-12


class Overwriting(nn.Module):
    """What entered the second layer is overwritten after it: PyTorch cannot train it either."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x):
        hidden = self.first(x)
        other = self.second(hidden)
        hidden.mul_(2.0)
        return other + hidden


def test_an_input_that_is_overwritten_is_noticed():
    with (
        pytest.warns(UserWarning, match=r"second.weight \(an input that the network overwrites\)"),
        pytest.raises(RuntimeError, match="modified by an inplace operation"),
    ):
        empirical_ntk(Overwriting(), torch.randn(4, 3))


def test_train_mode_flags_and_gradients_are_as_they_were():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    model[0].bias.requires_grad_(False)
    model[1].eval()
    flags, modes = [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()]
    empirical_ntk(model, torch.randn(4, 3))
    assert [p.requires_grad for p in model.parameters()] == flags and [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters()) and int(model[1].num_batches_tracked) == 0


def test_layers_add_up_to_the_whole():
    case = next(case for case in CASES if case.name == "convolution and batch normalisation")
    model, x, z = case.model(), case.inputs(5), case.inputs(3, seed=2)
    parts = [layer_ntk(model, name, x, z) for name in ("0", "3", "4", "7")]
    torch.testing.assert_close(sum(parts), empirical_ntk(model, x, z), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match=r"has no layer '9'.*It has: 0, 1"):
        layer_ntk(model, "9", x)
    with pytest.raises(ValueError, match="layer '1' of Sequential has no parameter that requires a gradient"):
        layer_ntk(model, "1", x)


def test_stacked_networks_and_other_states():
    spec = {"width": 6, "hidden_layers": 2, "parametrization": "mup", "gamma": 0.3}
    model = build(spec, (5,), 2).double()
    vectors = []
    for seed in range(3):
        model.reset_parameters(torch.Generator().manual_seed(seed))
        vectors.append(flatten_parameters(model))
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    stacked = stacked_empirical_ntk(model, unflatten_parameters(torch.stack(vectors), parameter_layout(model)), x)
    for seed, kernel in enumerate(stacked):
        model.reset_parameters(torch.Generator().manual_seed(seed))
        torch.testing.assert_close(kernel, reference(model, x), rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="must have one size, the number of networks"):
        stacked_empirical_ntk(
            model, {"hidden.0.weight": torch.zeros(2, 6, 5), "readout.weight": torch.zeros(3, 2, 6)}, x
        )
    with pytest.raises(ValueError, match=r"has no 'hidden.0.wieght'; did you mean 'hidden.0.weight'\?"):
        empirical_ntk(model, x, parameters=["hidden.0.wieght"])


def test_bad_input_is_refused():
    model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match="outputs='sum' is not a kind of kernel"):
        empirical_ntk(model, torch.zeros(2, 2), outputs="sum")
    with pytest.raises(ValueError, match="no samples"):
        empirical_ntk(model, torch.zeros(0, 2))
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        empirical_ntk(nn.ReLU(), torch.zeros(2, 2))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_out_of_memory_is_answered_with_smaller_blocks(error, monkeypatch):
    case = CASES[0]
    model, x = case.model(), case.inputs(8)
    computed, budgets = ntk._computed, []

    def starved(*arguments):
        budgets.append(arguments[-1])
        if len(budgets) < 3:
            raise error
        return computed(*arguments)

    monkeypatch.setattr(ntk, "_computed", starved)
    assert relative_error(empirical_ntk(model, x), reference(model, x)) < 1e-12
    assert budgets == [ntk.MEMORY_BUDGET, ntk.MEMORY_BUDGET // 4, ntk.MEMORY_BUDGET // 16]

    def hopeless(*arguments):
        raise error

    monkeypatch.setattr(ntk, "_computed", hopeless)
    with pytest.raises(type(error)):
        empirical_ntk(model, x)


def test_converges_to_the_closed_form_as_width_grows():
    x = torch.randn(12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    limit = torch.from_numpy(relu_ntk(x, hidden_layers=2))
    errors = []
    for width in (64, 1024):
        kernels = []
        for seed in range(6):
            model = build({"width": width, "hidden_layers": 2, "parametrization": "ntk"}, (6,), 1).double()
            model.reset_parameters(torch.Generator().manual_seed(seed))
            kernels.append(relative_error(empirical_ntk(model, x), limit))
        errors.append(sum(kernels) / len(kernels))
    # Fluctuations fall as width^(-1/2): by 4 from 64 to 1024.
    assert 2.5 < errors[0] / errors[1] < 6.5
    assert errors[1] < 0.1


def test_invariances_of_the_kernel():
    """Rotated inputs with a first layer rotated back leave it as it is; outputs times s multiply it by s^2; it is PSD."""
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Tanh(), nn.Linear(8, 2)).double()
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(9, 4, dtype=torch.float64, generator=generator)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=generator))[0]
    kernel = empirical_ntk(model, x, outputs="full")
    eigenvalues = torch.linalg.eigvalsh(kernel.permute(0, 2, 1, 3).reshape(18, 18))
    assert eigenvalues.min() > -1e-12 * eigenvalues.max()
    with torch.no_grad():
        model[0].weight.copy_(model[0].weight @ rotation.T)
    torch.testing.assert_close(empirical_ntk(model, x @ rotation.T, outputs="full"), kernel, rtol=1e-10, atol=1e-12)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, inputs):
            return 3.0 * self.inner(inputs)

    torch.testing.assert_close(
        empirical_ntk(Scaled(), x @ rotation.T, outputs="full"), 9.0 * kernel, rtol=1e-10, atol=1e-11
    )
