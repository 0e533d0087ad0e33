"""The networks that all metrics share: one object for a checkpoint, which no metric changes."""

import itertools

import numpy as np
import pytest
import torch

from lazyrich import plugins
from lazyrich.metrics import member as members_module
from lazyrich.metrics.member import MemberData
from small_runs import CHAIN, dataset, kernels, member_data, run_spec, seeds, spectra, train

#: Options of every metric; "ntk" and "ck" are kernels on points of all splits, "probe" is one on the probe points alone.
OPTIONS = {
    "after_kernel": {"kernels": ["ntk", "ck"]},
    "conjugate_kernel_strength": {"kernel": "probe", "spectrum": "spectrum"},
    "early_time_alignment": {"layers": [0, 1]},
    "feature_learning_gap": {"closed_form": True, "kernel": "ntk", "epsilon": 0.1, "matched": True},
    "feature_quality": {},
    "fisher": {"samples": 12},
    "kernel_baselines": {"baselines": ["ntk", "rbf"], "bandwidths": [1]},
    "kernel_theory": {"kernel": "ck", "points": 40, "sizes": [8], "subsets": 1, "window": [1, 6]},
    "layer_alignment": {"samples": None},
    "neural_feature_ansatz": {"layers": [0, 1], "null_rotations": 2, "samples": None},
    "ntk_strength": {"kernel": "ntk"},
    "nystrom_error": {"kernel": "ntk", "landmarks": [6], "subsets": 1, "leading": 3},
    "superposition": {"features": "columns", "layer": None, "samples": 16},
    "test_error": {},
    "weight_change": {},
}
POINTS = {"train": 16, "test": 8, "probe": 12}


@pytest.fixture(scope="module", params=[True, False], ids=["centred", "not centred"])
def prepared(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("member")
    data = dataset(folder, CHAIN)
    model = {"width": 16, "centered": request.param}
    run = train(folder, data, run_spec(seeds(2), model, {"train_size": 16, "max_steps": 12}))
    ntk = kernels(folder, run, data, "ntk", rows=POINTS)
    ck = kernels(folder, run, data, "ck", object="conjugate_kernel", rows=POINTS)
    probe = kernels(folder, run, data, "probe", object="conjugate_kernel")
    members_module._model.cache_clear()
    return member_data(run, data, ntk, ck, probe, spectra(folder, probe)), run


def test_a_checkpoint_is_one_object_for_all_who_ask(prepared):
    (member, other), run = prepared
    asked = list(itertools.product((0, 12), (torch.float32, torch.float64)))
    models = {key: member.model(*key) for key in asked}
    assert all(member.model(*key) is models[key] for key in reversed(asked))
    assert len({id(model) for model in models.values()}) == 4
    assert member.model(12) is models[12, torch.float64]  # the default
    again = MemberData(member.name, run, member.dataset)
    assert again.model(0) is models[0, torch.float64]  # of the network, not of who asks
    assert other.model(0) is not models[0, torch.float64]
    for (step, dtype), model in models.items():
        found = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
        assert found.dtype == dtype and not model.training
        np.testing.assert_array_equal(
            found.numpy().astype(np.float32), run.parameters(member.name, step).astype(np.float32)
        )


def test_a_checkpoint_that_is_not_there_is_named(prepared):
    (member, _), _ = prepared
    with pytest.raises(ValueError, match="has no checkpoint at step 11"):
        member.model(11)


def test_every_metric_has_options_here():
    assert set(OPTIONS) == set(plugins.names("metrics"))


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")


def state(model):
    """All that could be changed of a network: its parameters and buffers bit by bit, and what hangs on its modules."""
    tensors = dict(itertools.chain(model.named_parameters(), model.named_buffers()))
    bits = {name: (tensor.dtype, tensor.detach().numpy().tobytes()) for name, tensor in tensors.items()}
    flags = {name: (tensor.requires_grad, tensor.grad is None) for name, tensor in tensors.items()}
    modules = {
        name: (module.training, [len(getattr(module, hooks)) for hooks in HOOKS], "forward" in vars(module))
        for name, module in model.named_modules()
    }
    return bits, flags, modules


@pytest.mark.parametrize("metric", OPTIONS)
def test_no_metric_changes_the_networks(prepared, metric):
    (member, _), run = prepared
    models = {step: member.model(step) for step in member.steps}
    assert len(models) > 2
    before = {step: state(model) for step, model in models.items()}
    for bits, _, modules in before.values():
        assert bits and not any(training or sum(hooks) for training, hooks, _ in modules.values())
    rows = list(plugins.load("metrics", metric).measure(member, **OPTIONS[metric]))
    assert rows
    for step, model in models.items():
        assert member.model(step) is model  # it is these that the metric was given
        assert state(model) == before[step]
    untouched = run.model(member.name, 12).double()
    x = member.split("test").inputs.double()
    with torch.no_grad():
        assert torch.equal(models[12](x), untouched(x))
