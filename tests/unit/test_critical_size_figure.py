"""The figure of the critical dataset size against width on ratios whose crossings are known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.text import Annotation

from lazyrich.figures import critical_size_by_width, style

SEEDS = range(5)
SIZES = (128, 256, 512, 1024, 2048)
#: m* of the middle seed: with the standard parametrization below, among and beyond the sizes
CRITICAL = {"mup": {64: 300.0, 128: 400.0, 256: 600.0}, "standard": {64: 60.0, 128: 1000.0, 256: 9000.0}}


def study(critical=CRITICAL, seeds=SEEDS, metric="test_error_ratio"):
    """Ratios that fall as 1/m^2 and pass through 0.1 at m*, which is a tenth larger from seed to seed."""
    rows = []
    for name, widths in critical.items():
        for (width, middle), seed, size in itertools.product(widths.items(), seeds, SIZES):
            rows.append({
                "experiment": "e", "run": name, "parametrization": name, "width": width, "train_size": size, "seed": seed,
                "status": "converged", "step": 9, "stage": "final", "layer": "", "metric": metric,
                "value": 0.1 * (middle * 1.1 ** (seed - 2) / size) ** 2,
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def drawn():
    return critical_size_by_width.draw(study(), {"title": "A title"})


def medians(numbers):
    of = numbers[(numbers["metric"] == "critical_dataset_size") & (numbers["kind"] == "median")]
    return of.set_index(["parametrization", "width"])


def is_drawn(axes, x, y):
    lines = [line.get_xydata() for line in axes.get_lines()]
    return any(len(line) == len(x) and np.allclose(line, np.column_stack([x, y]), equal_nan=True) for line in lines)


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def test_ratios_of_every_width_are_drawn_in_the_panel_of_their_parametrization(drawn):
    figure, numbers = drawn
    assert [axes.get_title() for axes in figure.axes] == [
        "μP parametrization",
        "standard parametrization",
        "critical dataset size",
    ]
    means = numbers[(numbers["metric"] == "test_error_ratio") & (numbers["kind"] == "mean")]
    assert means.groupby(["parametrization", "width"]).ngroups == 6
    for (name, _), group in means.groupby(["parametrization", "width"]):
        assert is_drawn(figure.axes[list(CRITICAL).index(name)], group["train_size"], group["value"])
    square = np.mean([1.1 ** (2 * (seed - 2)) for seed in SEEDS])
    of = means[(means["parametrization"] == "mup") & (means["width"] == "128")]
    np.testing.assert_allclose(of["value"], 0.1 * square * (400 / np.array(SIZES)) ** 2)


def test_critical_sizes_are_read_off_the_ratios(drawn):
    figure, numbers = drawn
    found = medians(numbers)
    for width, expected in CRITICAL["mup"].items():
        row = found.loc[("mup", str(width))]
        assert row["value"] == pytest.approx(expected) and row["ci_low"] < expected < row["ci_high"]
        assert row["words"].startswith(f"{expected:g} [") and row["words"].endswith("(5 of 5 seeds)")
    widths = np.array(list(CRITICAL["mup"])) * critical_size_by_width.SHIFTS[0]
    assert is_drawn(figure.axes[2], widths, list(CRITICAL["mup"].values()))
    seeds = numbers[(numbers["metric"] == "critical_dataset_size") & (numbers["kind"] == "seed")]
    assert len(seeds) == 2 * 3 * len(SEEDS) and np.isinf(seeds["value"]).sum() == len(SEEDS)


def test_what_lies_beyond_the_sizes_is_a_bound_with_an_arrow(drawn):
    figure, numbers = drawn
    found, axes = medians(numbers), figure.axes[2]
    assert np.isinf(found.loc[("standard", "256"), "value"]) and found.loc[("standard", "64"), "value"] == 128
    assert found.loc[("standard", "256"), "words"].startswith("> 2048 [> 2048, > 2048] (0 of 5")
    assert found.loc[("standard", "64"), "words"].startswith("<= 128")
    arrows = [text for text in axes.texts if isinstance(text, Annotation)]
    assert len(arrows) == 2
    down, up = sorted(arrows, key=lambda arrow: arrow.xyann[1])
    assert down.xy[1] < down.xyann[1] < 128 and 2048 < up.xyann[1] < up.xy[1]
    shift = critical_size_by_width.SHIFTS[1]
    assert (down.xyann[0], up.xyann[0]) == pytest.approx((64 * shift, 256 * shift))
    assert is_drawn(axes, np.array([64, 128, 256]) * shift, [np.nan, 1000, np.nan])  # no line leads to a bound
    ticks = {axes.yaxis.get_major_formatter()(at, 0): at for at in axes.get_yticks()}
    assert ticks["> 2,048"] == up.xyann[1] and ticks["≤ 128"] == down.xyann[1]
    bottom, top = axes.get_ylim()
    assert bottom < down.xy[1] and up.xy[1] < top


def test_an_interval_that_is_open_reaches_the_edge():
    """Two of five seeds do not cross: the median does, and the upper end of its interval is not known."""
    table = study({"mup": {64: 1750.0}})
    figure, numbers = critical_size_by_width.draw(table, {})
    row = medians(numbers).loc[("mup", "64")]
    assert row["value"] == pytest.approx(1750) and np.isinf(row["ci_high"]) and "> 2048]" in row["words"]
    ends = [path.vertices[:, 1] for lines in figure.axes[1].collections for path in lines.get_paths()]
    assert any(np.allclose(end, [row["ci_low"], 2048 * critical_size_by_width.OUTSIDE]) for end in ends)
    assert not figure.axes[1].texts


def test_axes_scales_threshold_and_legend(drawn):
    figure, _ = drawn
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert all(axes.get_xscale() == axes.get_yscale() == "log" for axes in figure.axes)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert all(is_drawn(axes, [0, 1], [0.1, 0.1]) for axes in figure.axes[:2])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["width 64", "width 128", "width 256", "threshold 0.1", "m*, μP", "m*, standard"]
    assert figure.get_suptitle() == "A title"


def test_series_are_told_apart_by_colour_and_by_marker(drawn):
    figure, _ = drawn
    widths = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == len(SIZES)]
    assert len({line.get_marker() for line in widths}) == 3
    lightness = [np.dot(line.get_color(), (0.3, 0.6, 0.1)) for line in widths]
    assert lightness == sorted(lightness, reverse=True)  # the wider, the darker
    assert style.marker("mup") != style.marker("standard")
    assert not same_color(style.colour("mup", {}), style.colour("standard", {}))


def test_epsilon_moves_the_threshold_and_the_critical_size():
    figure, numbers = critical_size_by_width.draw(study(), {"epsilon": 0.4})
    assert medians(numbers).loc[("mup", "256"), "value"] == pytest.approx(300)  # ratios fall as 1/m^2
    assert is_drawn(figure.axes[0], [0, 1], [0.4, 0.4])


def test_a_seed_of_which_a_size_diverged_has_no_critical_size():
    table = study()
    lost = (table["seed"] == 0) & (table["parametrization"] == "mup") & (table["train_size"] == 2048)
    broken = table.assign(status=table["status"].where(~lost, "diverged"), value=table["value"].where(~lost))
    figure, numbers = critical_size_by_width.draw(broken, {})
    assert "3 of 150 trainings diverged" in small_print(figure)
    assert "m* leaves out 3 curves" in small_print(figure) and "m* leaves" not in small_print(
        critical_size_by_width.draw(table, {})[0]
    )
    found = medians(numbers)
    assert found.loc["mup", "n_seeds"].eq(4).all() and found.loc["standard", "n_seeds"].eq(5).all()
    everywhere = broken.assign(status=broken["status"].where(broken["train_size"] != 2048, "diverged"))
    _, none = critical_size_by_width.draw(everywhere, {})
    assert not len(medians(none)) and len(none[none["metric"] == "test_error_ratio"])


def test_the_empirical_kernel_serves_where_a_parametrization_has_no_closed_form():
    both = [study(), study(metric="test_error_ratio_empirical")]
    both[0] = both[0][both[0]["parametrization"] == "mup"]
    figure, numbers = critical_size_by_width.draw(pd.concat(both), {})
    assert set(numbers["metric"]) == {"test_error_ratio_empirical", "critical_dataset_size"}
    assert all("empirical NTK" in axes.get_ylabel() for axes in figure.axes[:2])
    both[1] = both[1][both[1]["parametrization"] == "standard"]
    figure, _ = critical_size_by_width.draw(pd.concat(both), {})
    assert ["empirical" in axes.get_ylabel() for axes in figure.axes[:2]] == [False, True]


def test_single_seeds_and_missing_axes():
    _, numbers = critical_size_by_width.draw(study(seeds=[2]), {})
    row = medians(numbers).loc[("mup", "64")]
    assert row["value"] == pytest.approx(300) and np.isnan(row["ci_low"]) and "[" not in row["words"]
    with pytest.raises(ValueError, match="needs the axes parametrization, width; the table has: train_size"):
        critical_size_by_width.draw(study().drop(columns=["parametrization", "width"]), {})
    with pytest.raises(ValueError, match="finds none of its metrics"):
        critical_size_by_width.draw(study(metric="other"), {})
