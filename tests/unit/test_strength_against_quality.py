"""The figure of all networks of a paper on a table whose points, kinds of labels and rank correlations are known."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import spearmanr

from lazyrich.figures import strength_against_quality, style
from lazyrich.figures.strength_against_quality import GAPS, LABELS, STRENGTH, draw

SEEDS = range(4)
NTK, CONJUGATE = STRENGTH
MATCHED, CLOSED, EMPIRICAL = GAPS
#: experiment -> its axes, its strengths, its gaps (the first is the one to draw)
EXPERIMENTS = {
    "labels": ({"labels": ("true", "shuffled"), "gamma": (0.1, 1)}, (NTK, CONJUGATE), (MATCHED, CLOSED, EMPIRICAL)),
    "noise": ({"label_noise": (0, 0.5, 1)}, (NTK,), (CLOSED, EMPIRICAL)),
    "sizes": ({"train_size": (16, 64)}, (NTK, CONJUGATE), (EMPIRICAL,)),
}
KINDS = {"labels": {"true": "true", "shuffled": "shuffled"}, "label_noise": {0: "true", 0.5: "partly", 1: "shuffled"}}


def network(values, seed=0, experiment="e", status="converged", **axes):
    """The rows of one network: its values at the end, and others at the start."""
    common = {"experiment": experiment, "run": "base", **axes, "seed": seed, "status": status, "layer": ""}
    ends = ({"step": 9, "stage": "final"}, {"step": 0, "stage": "initial"})
    return [
        {**common, **end, "metric": metric, "value": value if end["step"] else 77.0}
        for (metric, value), end in itertools.product(values.items(), ends)
    ]


def study():
    """The table, and (experiment, strength, kind of labels) -> the points to be drawn."""
    generator, rows, points = np.random.default_rng(0), [], {}
    for experiment, (axes, strengths, gaps) in EXPERIMENTS.items():
        for *values, seed in itertools.product(*axes.values(), SEEDS):
            own = dict(zip(axes, values, strict=True))
            found = {metric: generator.uniform(0.01, 1) for metric in strengths}
            found |= {metric: generator.normal() for metric in gaps}
            (kind,) = {KINDS[axis][value] for axis, value in own.items() if axis in KINDS} or {"true"}
            for metric in strengths:
                points.setdefault((experiment, metric, kind), []).append((found[metric], found[gaps[0]]))
            rows += network(found, seed, experiment, **own)
    rows += network({NTK: 0.5}, 0, "no gap") + network({MATCHED: 0.5}, 0, "no strength")
    return pd.DataFrame(rows), points


TABLE, POINTS = study()


def of(metric, kind=None):
    """All points of a strength, or those of one kind of labels, sorted."""
    chosen = [POINTS[key] for key in POINTS if key[1] == metric and kind in (None, key[2])]
    return np.array(sorted(point for points in chosen for point in points))


@pytest.fixture(scope="module")
def drawn():
    return draw(TABLE, {"title": "A title"})


def scatters(axes):
    return [line for line in axes.get_lines() if line.get_linestyle() == "None"]


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def test_the_kernel_that_is_as_well_trained_comes_first_and_the_empirical_one_last():
    assert GAPS == ("feature_learning_gap_matched", "feature_learning_gap", "feature_learning_gap_empirical")


def test_points_stand_where_strength_and_the_first_gap_say(drawn):
    """The gap at equal training loss before the closed form before the empirical one; a network without both is not drawn."""
    figure, _ = drawn
    assert len(figure.axes) == 2
    for axes, metric in zip(figure.axes, STRENGTH, strict=True):
        found = np.concatenate([line.get_xydata() for line in scatters(axes)])
        np.testing.assert_allclose(np.array(sorted(map(tuple, found))), of(metric))
        assert axes.get_xlabel() == STRENGTH[metric] and axes.get_xscale() == "log"
    assert len(of(NTK)) == 36 and len(of(CONJUGATE)) == 24


def test_the_kind_of_labels_is_told_by_either_axis_and_empty_axes_are_those_of_others(drawn):
    figure, numbers = drawn
    assert {key[2] for key in POINTS if key[0] == "noise"} == set(LABELS)
    for axes, metric in zip(figure.axes, STRENGTH, strict=True):
        kinds = [kind for kind in LABELS if len(of(metric, kind))]
        for line, kind in zip(scatters(axes), kinds, strict=True):
            np.testing.assert_allclose(np.array(sorted(map(tuple, line.get_xydata()))), of(metric, kind))
            assert line.get_marker() == style.marker(kind) and line.get_color() == style.colour(kind, {})
    assert len(scatters(figure.axes[0])) == 3 and len(scatters(figure.axes[1])) == 2
    bare = TABLE[TABLE["experiment"] == "sizes"].drop(columns=["labels", "label_noise", "gamma"])
    assert set(draw(bare, {})[1]["series"]) == {"true", "all"}


def test_series_are_told_apart_by_colour_and_marker_and_named(drawn):
    figure, _ = drawn
    lines = scatters(figure.axes[0])
    assert len({line.get_marker() for line in lines}) == len({to_rgb(line.get_color()) for line in lines}) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(LABELS.values())
    assert figure.get_suptitle() == "A title" and strength_against_quality.READING in small_print(figure)


def test_axes_share_an_ordinate_with_a_line_at_zero(drawn):
    figure, _ = drawn
    assert figure.axes[0].get_ylabel().startswith("feature learning gap")
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    for axes in figure.axes:
        (zero,) = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
        assert zero.get_xydata().tolist() == [[0, 0], [1, 0]]


def test_rank_correlations_are_those_of_the_points_and_stand_over_their_panel(drawn):
    figure, numbers = drawn
    found = numbers[numbers["kind"] == "rank correlation"].set_index(["metric", "series"])
    assert set(found.index) == set(itertools.product(STRENGTH, ("all", "true", "shuffled")))
    for (metric, series), row in found.iterrows():
        expected = spearmanr(*of(metric, None if series == "all" else series).T).statistic
        assert row["value"] == pytest.approx(expected, abs=1e-12)
        assert -1 <= row["ci_low"] < expected < row["ci_high"] <= 1
        title = figure.axes[list(STRENGTH).index(metric)].get_title(loc="left")
        assert f"{series}: {expected:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" in title.splitlines()


def two_seeds(count=8):
    """In one seed strength orders networks by quality, in the other against it."""
    sides = [(0, range(count)), (1, range(count)[::-1])]
    networks = [
        network({NTK: 0.1 * (place + 1), MATCHED: float(gap)}, seed, size=place)
        for seed, gaps in sides
        for place, gap in enumerate(gaps)
    ]
    return pd.DataFrame(sum(networks, []))


def test_intervals_are_from_whole_seeds():
    """Of two seeds a quarter of the resamples is the first alone and a quarter the second: from -1 to 1. Single networks, resampled
    one by one, would give about 1/2 to either side."""
    _, numbers = draw(two_seeds(), {})
    (row,) = numbers[numbers["kind"] == "rank correlation"].to_dict("records")
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((0, -1, 1), abs=1e-12)
    _, numbers = draw(two_seeds().query("seed == 0"), {})
    (row,) = numbers[numbers["kind"] == "rank correlation"].to_dict("records")
    assert row["value"] == pytest.approx(1) and np.isnan(row["ci_low"]) and np.isnan(row["ci_high"])


def test_few_or_equal_networks_have_no_correlation_and_give_no_warning():
    equal = pd.DataFrame(sum((network({NTK: 0.2, MATCHED: 0.1 * seed}, seed) for seed in SEEDS), []))
    single = equal.assign(value=equal["value"] * (1 + equal["seed"] % 3 / 10))  # resamples of one network have none
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, numbers = draw(equal, {})
        assert np.isnan(numbers.loc[numbers["kind"] == "rank correlation", "value"]).all()
        _, numbers = draw(single, {})
        row = numbers[numbers["kind"] == "rank correlation"].iloc[0]
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        _, numbers = draw(equal[equal["seed"] < 2], {})
    assert set(numbers["kind"]) == {"network"}


def test_the_table_of_numbers_holds_every_network_with_what_it_is(drawn):
    _, numbers = drawn
    points = numbers[numbers["kind"] == "network"]
    for metric, some in points.groupby("metric"):
        np.testing.assert_allclose(np.array(sorted(zip(some["strength"], some["gap"], strict=True))), of(metric))
    assert {"experiment", "run", "labels", "gamma", "label_noise", "train_size", "seed"} <= set(points.columns)
    row = points.query(
        "metric == @NTK and experiment == 'labels' and labels == 'shuffled' and gamma == '0.1' and seed == '2'"
    )
    where = (TABLE["experiment"] == "labels") & (TABLE["labels"] == "shuffled") & (TABLE["gamma"] == 0.1)
    values = TABLE[where & (TABLE["seed"] == 2) & (TABLE["stage"] == "final")].set_index("metric")["value"]
    assert row[["strength", "gap"]].to_numpy().tolist() == [[values[NTK], values[MATCHED]]]
    assert row["series"].tolist() == ["shuffled"]


def test_diverged_networks_are_left_out_and_counted_each_in_its_experiment():
    """Two experiments without axes have networks of the same run and seed, which are different networks all the same."""
    rows = [
        network(
            {NTK: 0.1 * (seed + 1), MATCHED: 0.5 * seed + place}, seed, name, "diverged" if seed == 3 else "finished"
        )
        for place, name in enumerate(("one", "two"))
        for seed in SEEDS
    ]
    figure, numbers = draw(pd.DataFrame(sum(rows, [])), {})
    assert "2 of 8 trainings diverged and are left out" in small_print(figure)
    points = numbers[numbers["kind"] == "network"]
    assert len(points) == 6 and "3" not in set(points["seed"])
    assert sum(len(line.get_xdata()) for line in scatters(figure.axes[0])) == 6


def test_where_there_is_nothing_to_draw_the_message_says_what_is_needed():
    apart = pd.DataFrame(network({NTK: 0.5}, 0, "a") + network({MATCHED: 0.5}, 0, "b"))
    with pytest.raises(ValueError, match=f"finds no network with one of {NTK}, .* and one of {MATCHED}, {CLOSED}"):
        draw(apart, {})
    with pytest.raises(ValueError, match="strength_against_quality finds none of its metrics"):
        draw(TABLE.assign(metric="other"), {})


def test_a_strength_that_no_network_has_gets_no_panel():
    figure, numbers = draw(TABLE[TABLE["metric"] != CONJUGATE], {"width": 4})
    assert [axes.get_xlabel() for axes in figure.axes] == [STRENGTH[NTK]] and set(numbers["metric"]) == {NTK}
    assert figure.get_size_inches()[0] == 4
