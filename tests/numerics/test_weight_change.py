"""The movement of parameters by hand, and of a trained network layer by layer."""

import math

import numpy as np
import pytest

from lazyrich.metrics.movement import squared_norm_ratio, weight_change
from small_runs import DIGITS, dataset, measure, member_data, run_spec, seeds, train


def test_by_hand():
    assert weight_change([3.0, 4.0], [3.0, 4.0]) == 0
    assert weight_change([3.0, 4.0], [3.0, 16.0]) == pytest.approx(12 / 5)
    assert squared_norm_ratio([3.0, 4.0], [0.0, 10.0]) == pytest.approx(4)
    assert weight_change(np.eye(2), -np.eye(2)) == pytest.approx(2)
    assert weight_change([0.0], [1.0]) == squared_norm_ratio([0.0], [1.0]) == math.inf
    assert math.isnan(weight_change([0.0], [0.0]))
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        weight_change([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
def test_of_a_network_and_its_layers(tmp_path, architecture):
    data = dataset(tmp_path, DIGITS)
    model = {"architecture": architecture, "width": 4, "bias": True}
    run = train(tmp_path, data, run_spec(seeds(1), model=model))
    (member,) = member_data(run, data)
    table = measure(tmp_path, {"weight_change": {}}, [member])
    first = dict(run.model("seed-0", 0).double().named_parameters())
    layers = [*(f"hidden.{i}" for i in range(2 if architecture == "mlp" else 3)), "readout"]
    for step in member.steps:
        last = dict(run.model("seed-0", step).double().named_parameters())
        values = {(row["metric"], row["layer"]): row["value"] for row in table if row["step"] == step}
        moved, start, end = (dict.fromkeys(layers, 0.0) for _ in range(3))
        for name in first:
            layer = name.removesuffix(".weight").removesuffix(".bias")
            moved[layer] += float((last[name] - first[name]).detach().square().sum())
            start[layer] += float(first[name].detach().square().sum())
            end[layer] += float(last[name].detach().square().sum())
        expected = {
            ("weight_change", ""): math.sqrt(sum(moved.values()) / sum(start.values())),
            ("squared_weight_norm_ratio", ""): sum(end.values()) / sum(start.values()),
        }
        for layer in layers:
            expected["layer_weight_change", layer] = math.sqrt(moved[layer] / start[layer])
            expected["layer_squared_weight_norm_ratio", layer] = end[layer] / start[layer]
        assert values == pytest.approx(expected, rel=1e-9)
        assert (step > 0) == (values["weight_change", ""] > 0)


def test_lazy_networks_move_less(tmp_path):
    data = dataset(tmp_path)
    members = {f"gamma-{gamma}": {"axes": {"gamma": gamma}, "set": {"model.gamma": gamma}} for gamma in (1, 0.1, 0.01)}
    run = train(tmp_path, data, run_spec(members))
    table = measure(tmp_path, {"weight_change": {}}, member_data(run, data))
    change = [row["value"] for row in table if row["metric"] == "weight_change" and row["stage"] == "final"]
    # Outputs of one size need a change of the weights proportional to gamma.
    assert change[1] / change[2] == pytest.approx(10, rel=0.1)
    assert change[0] > 3 * change[1]
