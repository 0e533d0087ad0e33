"""Strength against training error, on curves that are known: what they are at errors between checkpoints."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lazyrich.figures import strength_over_training, style
from lazyrich.figures.strength_over_training import MEASURES, draw

SEEDS = range(4)
#: step -> training error
ERRORS = {0: 1.0, 10: 0.1, 100: 0.01}
LABELS = ("true", "shuffled")


def row(metric, value, seed, step, labels="true", *, layer="", status="converged", **axes):
    stage = "initial" if step == 0 else "final" if step == max(ERRORS) else ""
    return {
        "experiment": "e", "run": "base", **axes, "labels": labels, "seed": seed, "status": status, "step": step,
        "stage": stage, "layer": layer, "metric": metric, "value": value,
    }  # fmt: skip


def table(metrics=("ntk_strength",), seeds=SEEDS, errors=ERRORS, **levels):
    """Every measure is (1 + seed) times the decades that the training error has fallen by, twice that on shuffled labels."""
    facet, values = next(iter(levels.items()), ("network", ("mlp",)))
    rows = []
    for level, labels, seed, (step, error) in itertools.product(values, LABELS, seeds, errors.items()):
        value = (1 + seed) * -np.log10(error) * (1 if labels == "true" else 2)
        where = {facet: level, "labels": labels}
        rows.append(row("train_error", error, seed, step, **where))
        rows += [row(metric, value, seed, step, **where) for metric in metrics]
    return pd.DataFrame(rows)


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().replace("\u00a0", " ").split())


def of(numbers, kind="mean", series="true", metric="ntk_strength"):
    chosen = (numbers["kind"] == kind) & (numbers["series"] == series) & (numbers["metric"] == metric)
    return numbers[chosen].set_index("train_error")


def test_values_are_interpolated_in_the_logarithm_of_the_training_error():
    figure, numbers = draw(table(), {})
    mean = of(numbers)
    assert mean.index.min() == pytest.approx(0.01) and mean.index.max() == 1
    assert len(mean) == 2 * strength_over_training.PER_DECADE + 1
    np.testing.assert_allclose(mean["value"], -2.5 * np.log10(mean.index), atol=1e-12)
    np.testing.assert_allclose(of(numbers, series="shuffled")["value"], 2 * mean["value"], atol=1e-12)
    assert (mean["n_seeds"] == 4).all() and (mean["ci_low"] <= mean["value"]).all()
    seed = of(numbers, "seed")
    seed = seed[seed["seed"] == "3"]
    np.testing.assert_allclose(seed["value"], -4 * np.log10(seed.index), atol=1e-12)
    lines = [line.get_xydata() for line in figure.axes[0].get_lines()]
    for one in (mean, seed):
        expected = one["value"].reset_index().to_numpy()
        assert any(line.shape == expected.shape and np.allclose(line, expected) for line in lines)
    left, right = figure.axes[0].get_xlim()
    assert left > 1 > 0.01 > right and figure.axes[0].get_xscale() == "log"


def test_an_error_that_rises_again_counts_as_the_least_so_far():
    errors = {0: 1.0, 1: 1.5, 10: 0.1, 50: 0.4, 100: 0.01}
    rows = table(errors=errors)
    rows.loc[rows["metric"].eq("ntk_strength") & rows["step"].isin([1, 50]), "value"] = 99.0
    mean = of(draw(rows, {})[1])
    np.testing.assert_allclose(mean["value"], -2.5 * np.log10(mean.index), atol=1e-12)


def test_measures_at_steps_without_a_training_error_are_dropped_and_errors_of_other_steps_are_no_harm():
    lone = [row("ntk_strength", 99.0, seed, 5, network="mlp") for seed in SEEDS]
    lone += [row("train_error", 0.5, seed, 6, network="mlp") for seed in SEEDS]
    whole = table()
    pd.testing.assert_frame_equal(draw(pd.concat([whole, pd.DataFrame(lone)]), {})[1], draw(whole, {})[1])


def test_the_mean_goes_as_far_as_half_of_the_seeds_and_two_of_them():
    rows = table(seeds=range(5))
    far = rows["step"] == max(ERRORS)
    mean = of(draw(rows[~(far & rows["seed"].isin([0, 1, 2]))], {})[1])  # two of five
    assert mean.index.min() == pytest.approx(0.1) and mean["n_seeds"].min() == 5
    mean = of(draw(rows[~(far & rows["seed"].isin([0, 1]))], {})[1])
    assert mean.index.min() == pytest.approx(0.01)
    np.testing.assert_allclose(mean["value"].iloc[0], 2 * np.mean([3, 4, 5]))
    two = rows[rows["seed"] < 2]
    figure, numbers = draw(
        two[(two["step"] != max(ERRORS)) | (two["seed"] != 0)], {}
    )  # one of two is half, and not enough
    assert of(numbers).index.min() == pytest.approx(0.1)
    assert of(numbers, "seed").index.min() == pytest.approx(0.01)
    single = of(draw(rows[rows["seed"] == 0], {})[1])
    assert single.index.min() == pytest.approx(0.01) and single["ci_low"].isna().all()


def test_every_measure_and_level_has_a_labelled_panel():
    figure, numbers = draw(table(MEASURES, range(2), network=("mlp", "cnn", "vit")), {"title": "A title"})
    panels = np.array(figure.axes).reshape(len(MEASURES), 3)
    assert [axes.get_title() for axes in panels[0]] == ["MLP", "CNN", "ViT"]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == list(MEASURES.values())
    assert all("training error" in axes.get_xlabel() for axes in panels[-1])
    assert panels[0, 0].get_ylim() == panels[0, 2].get_ylim() and panels[0, 1].get_xlim() == panels[5, 1].get_xlim()
    assert set(numbers["metric"]) == set(MEASURES) and set(numbers["network"]) == {"mlp", "cnn", "vit"}
    assert figure.get_suptitle() == "A title" and figure.get_figheight() <= 10


def test_many_measures_of_few_networks_stand_in_two_blocks():
    five = list(MEASURES)[:5]
    figure, _ = draw(table(five, range(2), gamma=(1, 0.1)), {})
    places = [(axes.get_subplotspec().rowspan.start, axes.get_subplotspec().colspan.start) for axes in figure.axes]
    assert sorted(places) == sorted([*itertools.product(range(3), (0, 1)), *itertools.product(range(2), (2, 3))])
    for axes, (line, column) in zip(figure.axes, places, strict=True):
        assert bool(axes.get_ylabel()) == (column in (0, 2))
        assert bool(axes.get_xlabel()) == ((line, column) in ((2, 0), (2, 1), (1, 2), (1, 3)))
        assert not line or not axes.get_title()
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["γ = 0.1", "γ = 1"] * 2


def test_of_more_than_four_levels_four_are_drawn():
    figure, numbers = draw(table(seeds=range(2), gamma=(10, 1, 0.1, 0.01, 0.001)), {})
    assert [axes.get_title() for axes in figure.axes] == [f"γ = {level}" for level in ("0.001", "0.01", "1", "10")]
    assert "Not drawn: γ = 0.1." in small_print(figure) and "0.1" not in set(numbers["gamma"])


def test_series_can_be_told_apart_without_colour():
    figure, _ = draw(table(), {})
    true, shuffled = (line for line in figure.axes[0].get_lines() if line.get_marker() != "None")
    assert true.get_linestyle() != shuffled.get_linestyle() and true.get_marker() != shuffled.get_marker()
    assert true.get_color() == style.colour("true", {})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true labels", "shuffled labels"]


def test_only_the_first_layer_in_the_table_and_only_features_of_the_readout_count():
    rows = table(("layer_alignment_distance", "sample_dimensionality"))
    hidden = rows["metric"] == "layer_alignment_distance"
    first = rows.assign(layer=rows["layer"].where(~hidden, "stem"))
    later = rows[rows["metric"] != "train_error"].assign(layer="blocks.0", value=99.0)
    _, numbers = draw(pd.concat([first, later]), {})
    assert numbers["value"].max() == 2 * 2 * 4


def test_diverged_members_are_left_out_and_counted():
    rows = table()
    lost = (rows["seed"] == 0) & (rows["labels"] == "true")
    figure, numbers = draw(rows.assign(status=rows["status"].where(~lost, "diverged")), {})
    assert "1 of 8 trainings diverged" in small_print(figure)
    assert of(numbers)["n_seeds"].eq(3).all() and of(numbers, series="shuffled")["n_seeds"].eq(4).all()


def test_values_that_lie_decades_apart_have_a_logarithmic_ordinate_without_what_is_near_0():
    rows = table(gamma=(1, 0.001))
    scaled = rows["metric"].eq("ntk_strength") & rows["gamma"].eq(0.001)
    figure, _ = draw(rows.assign(value=rows["value"].where(~scaled, rows["value"] * 0.001)), {})
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0.005 / 10)
    assert draw(table(), {})[0].axes[0].get_yscale() == "linear"


def test_a_measure_at_two_checkpoints_is_no_curve():
    rows = table(("ntk_strength", "weight_change"))
    ends = rows[(rows["metric"] != "ntk_strength") | (rows["step"] != 10)]
    figure, numbers = draw(ends, {})
    assert set(numbers["metric"]) == {"weight_change"}
    assert "at fewer than three checkpoints: ntk strength." in small_print(figure)
    with pytest.raises(ValueError, match="finds no metric with train_error at three checkpoints"):
        draw(ends[ends["metric"] != "weight_change"], {})
    with pytest.raises(ValueError, match="finds no metric with train_error"):
        draw(rows[rows["metric"] != "train_error"], {})


def test_a_network_without_a_measure_has_an_empty_panel():
    rows = table(("ntk_strength", "weight_change"), range(2), network=("mlp", "cnn"))
    figure, numbers = draw(rows[(rows["network"] != "cnn") | (rows["metric"] != "ntk_strength")], {})
    assert [len(axes.get_lines()) for axes in figure.axes] == [6, 0, 6, 6]
    assert set(numbers.loc[numbers["metric"] == "ntk_strength", "network"]) == {"mlp"}


def test_the_same_table_gives_the_same_numbers_and_a_mixture_is_refused():
    rows = table()
    pd.testing.assert_frame_equal(draw(rows.sample(frac=1, random_state=0), {})[1], draw(rows, {})[1])
    mixed = pd.concat([rows.assign(images=images) for images in ("digits", "cifar10")])
    with pytest.raises(ValueError, match="the table has several, which differ in: images"):
        draw(mixed, {})
