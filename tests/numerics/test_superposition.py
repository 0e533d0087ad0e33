"""Feature and sample dimensionality on vectors with known answers, against loops, and in trained networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.datasets.reading import Split
from lazyrich.metrics.measures import superposition as measured
from lazyrich.metrics.superposition import class_means, feature_dimensionality, sample_dimensionality
from small_runs import CHAIN, dataset, measure, member_data, run_spec, seeds, train


def by_loops(vectors):
    """The definition, written out; 0 for a zero vector."""
    found = []
    for vector in vectors:
        length = np.sqrt(sum(vector**2))
        overlaps = [float((vector / length) @ other) ** 2 for other in vectors] if length else [1.0]
        found.append(length**2 / sum(overlaps))
    return found


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        (np.diag([3.0, 0.5, 1e-3]), [1, 1, 1]),  # directions of their own, of whatever length
        ([[1.0, 2.0], [-1.0, -2.0]], [1 / 2, 1 / 2]),  # antipodal pair
        (np.ones((7, 3)), [1 / 7] * 7),
        ([[1.0, 0.0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]], [2 / 3] * 3),  # triangle
        ([[3.0, 4.0], [0.0, 0.0]], [1, 0]),  # a feature that is not represented
        ([[2.0, 0.0], [1.0, 0.0]], [4 / 5, 1 / 5]),  # a line shared by lengths
        ([[1e-200, 0.0], [0.0, 1e-200]], [1, 1]),
        (np.zeros((2, 2)), [0, 0]),
    ],
)
def test_known_answers(vectors, expected):
    np.testing.assert_allclose(feature_dimensionality(vectors), expected, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(k=st.integers(1, 12), p=st.integers(1, 12), seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3))
def test_is_the_definition_and_bounded_by_the_leverage(k, p, seed, scale):
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((k, p)) * generator.integers(0, 2, (k, 1))  # some are zero
    found = feature_dimensionality(vectors)
    np.testing.assert_allclose(found, by_loops(vectors), rtol=1e-9)
    np.testing.assert_allclose(feature_dimensionality(scale * vectors), found, rtol=1e-9)
    rotation = np.linalg.qr(generator.standard_normal((p, p)))[0]
    np.testing.assert_allclose(feature_dimensionality(vectors @ rotation), found, rtol=1e-8)
    leverage = np.diagonal(vectors @ np.linalg.pinv(vectors))
    assert (found <= leverage + 1e-9).all() and found.sum() <= min(k, p) + 1e-9


def test_random_isotropic_vectors():
    """Given W_i, each other vector overlaps with its direction by 1 in the mean square: D_i is near p / (p + k - 1)."""
    for k, p in ((20, 256), (300, 64)):
        vectors = np.random.default_rng(0).standard_normal((k, p))
        assert feature_dimensionality(vectors).mean() == pytest.approx(p / (p + k - 1), rel=0.02)


def test_a_simplex_of_class_means_shares_one_dimension_less():
    labels = np.array([3, 1, 7, 1, 3, 7, 7, 9])
    features = np.eye(10)[labels] + 5.0
    means = class_means(features, labels)
    np.testing.assert_allclose(means, np.eye(10)[[1, 3, 7, 9]] + 5.0)
    np.testing.assert_allclose(feature_dimensionality(means - means.mean(axis=0)), 3 / 4)
    with pytest.raises(ValueError, match=r"\(8, 10\) and labels \(7,\)"):
        class_means(features, labels[1:])


@pytest.mark.parametrize("vectors", [np.ones(3), np.ones((0, 3)), np.ones((3, 0))])
def test_what_is_no_list_of_vectors_is_refused(vectors):
    with pytest.raises(ValueError, match="one vector a row"):
        feature_dimensionality(vectors)


def test_entries_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        feature_dimensionality([[1.0, np.nan]])


def test_samples_are_seen_in_front_of_the_readout():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4, bias=False), torch.nn.ReLU(), torch.nn.Linear(4, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]))
    x = torch.tensor([[1.0, 0, 0], [2.0, -5, 0], [0, 3, 0], [-1, -1, -1]]).double()  # two along e_1, one e_2, one dead
    np.testing.assert_allclose(sample_dimensionality(model, x), [1 / 5, 4 / 5, 1, 0])


# -- the metric ------------------------------------------------------------------------------------------------------


def found(table, metric):
    return {row["step"]: (row["value"], row["layer"]) for row in table if row["metric"] == metric}


def test_columns_of_inputs_that_matter_and_of_others(tmp_path):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(1)))
    (member,) = member_data(run, data)
    table = measure(tmp_path, {"superposition": {"features": "columns", "layer": None, "samples": 16}}, [member])
    assert CHAIN["rank"] == 3  # the target depends on the first three coordinates
    inputs = member.train.inputs[:16].double()
    relevant, irrelevant = (found(table, f"feature_dimensionality_{name}") for name in ("relevant", "irrelevant"))
    samples = found(table, "sample_dimensionality")
    assert list(relevant) == list(irrelevant) == list(samples) == member.steps and len(member.steps) > 3
    for step in member.steps:
        model = run.model("seed-0", step).double()
        values = by_loops(model.hidden[0].weight.detach().numpy().T)
        assert relevant[step] == (pytest.approx(np.mean(values[:3]), rel=1e-9), "hidden.0")
        assert irrelevant[step] == (pytest.approx(np.mean(values[3:]), rel=1e-9), "hidden.0")
        hidden = torch.relu(model.hidden[1](torch.relu(model.hidden[0](inputs)))).detach().numpy()
        assert samples[step] == (pytest.approx(np.mean(by_loops(hidden)), rel=1e-9), "")
    assert relevant[0] != relevant[member.steps[-1]]
    with pytest.raises(ValueError, match="'chain' has no classes.*`features: columns`"):
        list(measured.measure(member, features="class_means"))


def test_class_means_of_the_samples_and_of_another_layer(trained):
    run, data = trained
    shuffled = member_data(run, data)[1]
    assert shuffled.name == "labels-shuffled_seed-0"
    rows = list(measured.measure(shuffled, features="class_means", layer="hidden.1"))
    last = {row.metric: row for row in rows if row.step == shuffled.steps[-1]}
    split: Split = shuffled.train
    model = run.model(shuffled.name, shuffled.steps[-1]).double()
    hidden = torch.relu(model.hidden[0](split.inputs.double().flatten(1))).detach().numpy()
    means = np.array(
        [hidden[split.labels.numpy() == label].mean(axis=0) for label in sorted(set(split.labels.tolist()))]
    )
    assert last["feature_dimensionality_classes"].value == pytest.approx(np.mean(by_loops(means)), rel=1e-9)
    centered = last["feature_dimensionality_classes_centered"]
    assert centered.value == pytest.approx(np.mean(by_loops(means - means.mean(axis=0))), rel=1e-9)
    assert last["sample_dimensionality"].value == pytest.approx(np.mean(by_loops(hidden)), rel=1e-9)
    assert {row.layer for row in rows} == {"hidden.1"} and len(rows) == 3 * len(shuffled.steps)
    assert {row.metric for row in measured.measure(shuffled)} == {"sample_dimensionality"}
    with pytest.raises(ValueError, match="'digits' has no EGOP in closed form.*`features: class_means`"):
        list(measured.measure(shuffled, features="columns"))
