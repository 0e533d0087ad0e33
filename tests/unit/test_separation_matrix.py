"""The matrix of effect sizes on tables in which they are known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lazyrich.figures import separation_matrix
from lazyrich.figures.separation_matrix import CLIP, GROUPS, draw

#: Differences between true and shuffled labels, by seed: mean 2, standard deviation 1.
CLEAR = (1.0, 2.0, 3.0)
#: Mean 0.1, and of both signs.
UNCLEAR = (-1.0, 0.2, 1.1)
ARCHITECTURES = ("mlp", "vit")


def row(metric, value, seed, labels, architecture, *, stage="final", layer="", status="converged", **axes):
    return {
        "experiment": "e", "run": architecture, "architecture": architecture, "labels": labels, **axes, "seed": seed,
        "status": status, "step": 0 if stage == "initial" else 9, "stage": stage, "layer": layer, "metric": metric, "value": value,
    }  # fmt: skip


def pairs(metric, differences, architecture="mlp", base=5.0, **options):
    """A pair of trainings a seed; those on shuffled labels have ``base``, and before training all have another value."""
    return [
        row(metric, base + (differences[seed] if labels == "true" else 0), seed, labels, architecture, **options)
        for seed, labels in itertools.product(range(len(differences)), separation_matrix.LABELS)
    ] + [row(metric, -99.0, 0, "true", architecture, **(options | {"stage": "initial"}))]


def table():
    return pd.DataFrame(
        [
            *pairs("ntk_strength", CLEAR),
            *pairs("ntk_strength", UNCLEAR, "vit"),
            *pairs("test_accuracy", CLEAR),
            *pairs("feature_learning_gap", CLEAR),
            *pairs("feature_learning_gap_empirical", UNCLEAR),
            *pairs("feature_learning_gap_empirical", [-value for value in CLEAR], "vit"),
        ]
    )


@pytest.fixture(scope="module")
def drawn():
    return draw(table(), {"title": "A title"})


def cell(numbers, metric, architecture="mlp"):
    (found,) = numbers[(numbers["metric"] == metric) & (numbers["architecture"] == architecture)].to_dict("records")
    return found


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().replace("\u00a0", " ").split())


def test_effect_sizes_rankings_and_means_are_those_of_the_pairs(drawn):
    _, numbers = drawn
    clear, unclear = cell(numbers, "ntk_strength"), cell(numbers, "ntk_strength", "vit")
    assert clear["effect_size"] == pytest.approx(2.0)  # mean 2, standard deviation 1
    assert clear["ranking"] == 1 and clear["n_seeds"] == 3 and clear["group"] == "strength"
    assert (clear["mean_true"], clear["mean_shuffled"]) == (7.0, 5.0)
    assert clear["ci_low"] > 0
    assert unclear["effect_size"] == pytest.approx(0.1 / np.std(UNCLEAR, ddof=1))
    assert unclear["ranking"] == pytest.approx(2 / 3) and unclear["ci_low"] < 0 < unclear["ci_high"]
    assert cell(numbers, "test_accuracy")["group"] == "quality"


def test_the_empirical_gap_stands_in_where_there_is_no_closed_form(drawn):
    figure, numbers = drawn
    assert cell(numbers, "feature_learning_gap")["effect_size"] == pytest.approx(2.0)
    assert cell(numbers, "feature_learning_gap_empirical", "vit")["effect_size"] == pytest.approx(-2.0)
    assert len(numbers) == 3 * len(ARCHITECTURES)  # one row of the matrix for both
    assert "The initial NTK is that of the finite network for ViT, and of infinite width otherwise." in small_print(
        figure
    )


def test_what_a_cell_says_can_be_read_without_its_colour(drawn):
    figure, _ = drawn
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    values = [text for text in figure.axes[0].texts if "[" not in text.get_text()]
    clear, unclear = values
    assert (clear.get_text(), clear.get_weight(), clear.get_style()) == ("2.0", "bold", "normal")
    assert (unclear.get_text(), unclear.get_weight(), unclear.get_style()) == ("0.095", "normal", "italic")
    assert sum("[" in text for text in texts) == 2
    assert min(text.get_fontsize() for text in texts.values()) >= 7.5


def test_text_contrasts_with_every_colour():
    for value, grey in itertools.product(np.linspace(-CLIP, CLIP, 41), (False, True)):
        fill = to_rgb(separation_matrix._colours()(value / CLIP / 2 + 0.5))
        assert separation_matrix._contrast(to_rgb(separation_matrix._readable(fill, grey)), fill) >= 4.5
    assert separation_matrix._contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


def test_axes_groups_and_legend(drawn):
    figure, _ = drawn
    strength, quality, bar = figure.axes
    assert [axes.get_ylabel() for axes in (strength, quality)] == ["STRENGTH", "QUALITY"]
    assert strength.get_xlabel() == "architecture"
    assert [label.get_text() for label in strength.get_xticklabels()] == ["MLP", "ViT"]
    assert [label.get_text() for label in strength.get_yticklabels()] == [GROUPS["strength"]["ntk_strength"]]
    assert "clipped at ±5" in bar.get_xlabel() and figure.get_suptitle() == "A title"
    assert "over 3 pairs of seeds" in small_print(figure)


def test_a_cell_without_pairs_is_empty_and_hatched(drawn):
    figure, numbers = drawn
    empty = cell(numbers, "test_accuracy", "vit")
    assert empty["n_seeds"] == 0 and np.isnan(empty["effect_size"])
    hatched = [patch for patch in figure.axes[1].patches if patch.get_hatch()]
    assert [patch.get_xy() for patch in hatched] == [(1, 0)]
    assert "–" in [text.get_text() for text in figure.axes[1].texts]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fewer than two pairs of seeds"]
    whole, _ = draw(pd.DataFrame(pairs("weight_change", CLEAR)), {})
    assert not whole.legends[0].get_texts() and len(whole.axes) == 2  # one group, and the colours
    lone = cell(draw(pd.DataFrame(pairs("weight_change", CLEAR[:1])), {})[1], "weight_change")
    assert lone["n_seeds"] == 1 and np.isnan(lone["ci_low"])


def test_only_the_first_layer_in_the_table_and_only_features_of_the_readout_count():
    layers = ("stem", "blocks.0")
    rows = [
        *pairs("layer_alignment_distance", CLEAR, layer="stem"),
        *pairs("layer_alignment_distance", UNCLEAR, layer="blocks.0"),
    ]
    rows += [*pairs("sample_dimensionality", UNCLEAR, layer=layers[1]), *pairs("sample_dimensionality", CLEAR)]
    _, numbers = draw(pd.DataFrame(rows), {})
    np.testing.assert_allclose(numbers["effect_size"], 2.0)


def test_diverged_seeds_are_left_out_with_their_partner_and_counted():
    rows = pd.DataFrame(pairs("weight_change", (*CLEAR, 90.0)) + pairs("ntk_strength", (*CLEAR, np.inf)))
    broken = rows.assign(status=rows["status"].where((rows["seed"] != 3) | (rows["labels"] != "true"), "diverged"))
    figure, numbers = draw(broken, {})
    np.testing.assert_allclose(numbers["effect_size"], 2.0)
    assert (numbers["n_seeds"] == 3).all()
    assert "1 of 8 trainings diverged" in small_print(figure)


def test_equal_differences_have_an_infinite_effect():
    figure, numbers = draw(pd.DataFrame(pairs("weight_change", (-1.0,) * 3)), {})
    assert numbers["effect_size"].item() == -np.inf
    assert [text.get_text() for text in figure.axes[0].texts] == ["−∞", "[−∞, −∞]"]


def test_numbers_have_two_significant_digits():
    written = [separation_matrix._number(value) for value in (0.0, 0.034, -1.24, 9.96, 12.3, 1234.0, 0.00004, np.inf)]
    assert written == ["0", "0.034", "−1.2", "10", "12", "1200", "0.000", "∞"]


def test_the_order_of_rows_does_not_matter(drawn):
    _, numbers = drawn
    shuffled = table().sample(frac=1, random_state=0).sort_values("architecture", kind="stable")
    pd.testing.assert_frame_equal(draw(shuffled, {})[1], numbers)


def test_what_the_figure_cannot_draw_is_named():
    with pytest.raises(ValueError, match="separation_matrix needs the axes architecture"):
        draw(table().drop(columns="architecture"), {})
    several = pd.concat([table().assign(gamma=gamma) for gamma in (1, 0.1)])
    with pytest.raises(
        ValueError, match="for each architecture, labels, seed; the table has several, which differ in: gamma"
    ):
        draw(several, {})
