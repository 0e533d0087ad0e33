"""Figures on synthetic tables in which the answer is known: series, numbers, marks, files."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.colors import same_color

from lazyrich.figures import alignment_over_training, learning_curves, strength_by_labels, style
from lazyrich.figures.save import save
from lazyrich.figures.series import over_seeds
from lazyrich.tidy import normalised, read

SEEDS = range(6)


def row(metric, value, seed, *, step=None, stage="final", status="converged", layer="", run="base", **axes):
    return {
        "experiment": "e",
        "run": run,
        **axes,
        "seed": seed,
        "status": status,
        "step": step,
        "stage": stage,
        "layer": layer,
        "metric": metric,
        "value": value,
    }


def curves_table(
    sizes=(128, 256, 512, 1024, 2048, 4096, 8192), tasks=("staircase", "multi_index"), seeds=SEEDS, critical=1000.0
):
    """A network whose error falls as a power of m past the critical size, and a kernel whose error falls slowly."""
    generator = np.random.default_rng(0)
    rows = []
    for task, seed in itertools.product(tasks, seeds):
        for size in sizes:
            kernel = 0.9 * (size / 128) ** -0.2 * generator.lognormal(0, 0.03)
            ratio = 1 / (1 + 9 * (size / critical) ** 2.2) * generator.lognormal(0, 0.15)
            axes = {"task": task, "train_size": size, "run": f"task-{task}"}
            rows += [
                row("test_error", kernel * ratio, seed, step=900, **axes),
                row("test_error", 1.0, seed, step=0, stage="initial", **axes),
                row("ntk_test_error", kernel, seed, stage="", **axes),
                row("test_error_ratio", ratio, seed, stage="", **axes),
            ]
            if size <= 1024:
                rows.append(row("test_error_ratio_empirical", ratio / 1.1, seed, stage="", **axes))
                rows.append(row("ntk_test_error_empirical", kernel * 1.1, seed, stage="", **axes))
        size = critical * generator.lognormal(0, 0.2) if task == "staircase" else np.inf if seed % 2 else 5000.0
        rows.append(row("critical_dataset_size", size, seed, stage="", task=task, train_size=1024, run=f"task-{task}"))
    return pd.DataFrame(rows)


def strength_table(networks=("mlp", "cnn"), labels=("true", "shuffled"), gammas=(1, 0.1, 0.01), seeds=SEEDS):
    generator = np.random.default_rng(1)
    rows = []
    for network, label, gamma, seed in itertools.product(networks, labels, gammas, seeds):
        noise = generator.lognormal(0, 0.2)
        axes = {"network": network, "labels": label, "gamma": gamma, "run": f"network-{network}"}
        share = 1.0 if label == "true" else 0.7
        rows += [
            row("ntk_strength", 0.3 * gamma * share * noise, seed, **axes),
            row("ntk_strength", 0.0, seed, stage="initial", **axes),
            row("conjugate_kernel_strength", 0.5 * gamma**0.7 * share * noise, seed, **axes),
            row("test_accuracy", (0.95 if label == "true" else 0.1) + generator.normal(0, 0.015), seed, **axes),
        ]
    return pd.DataFrame(rows)


def alignment_table(scales=(1, 0.3, 0.1), steps=(0, 1, 3, 10, 30, 100, 300, 1000, 3000), seeds=SEEDS):
    generator = np.random.default_rng(2)
    rows = []
    for scale, seed, step in itertools.product(scales, seeds, steps):
        progress = np.log1p(step) / np.log1p(3000)
        richness = {1: 0.1, 0.3: 0.85, 0.1: 1.0}[scale]
        axes = {"init_scale": scale, "run": f"init_scale-{scale}", "layer": "hidden.0", "step": step}
        axes["stage"] = {0: "initial", steps[-1]: "final"}.get(step, "")
        noise = generator.normal(0, 0.02)
        rows += [
            row("uncentered_nfa", 0.45 + 0.5 * richness * progress + noise, seed, **axes),
            row("centered_nfa", np.nan if step == 0 else 0.9 + noise, seed, **axes),
            row("uncentered_nfa_null", 0.45 + 0.15 * richness * progress + noise / 2, seed, **axes),
            row("centered_nfa_null", np.nan if step == 0 else 0.65 + noise / 2, seed, **axes),
            row("nfm_egop_correlation", 0.42 + 0.5 * richness * progress + noise, seed, **axes),
            row("nfa_ratio", richness**2 * progress**3 * generator.lognormal(0, 0.2), seed, **axes),
            row("test_error", 1 - progress, seed, **(axes | {"layer": ""})),
        ]
    return pd.DataFrame(rows)


FIGURES = {
    "learning_curves": (learning_curves, curves_table),
    "strength_by_labels": (strength_by_labels, strength_table),
    "alignment_over_training": (alignment_over_training, alignment_table),
}
SMALL = {
    "learning_curves": {"sizes": (128, 512), "tasks": ("staircase",), "seeds": range(2)},
    "strength_by_labels": {"networks": ("mlp",), "gammas": (1,), "seeds": range(1)},
    "alignment_over_training": {"scales": (0.3,), "steps": (0, 1, 10), "seeds": range(1)},
}
every_figure = pytest.mark.parametrize("name", FIGURES)


def drawn_lines(figure):
    return [line.get_xydata() for axes in figure.axes for line in axes.get_lines()]


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def is_drawn(lines, x, y):
    return any(
        line.shape == (len(x), 2) and np.allclose(line, np.column_stack([x, y]), equal_nan=True) for line in lines
    )


@every_figure
def test_every_mean_in_the_table_of_numbers_is_drawn(name):
    module, table = FIGURES[name]
    figure, numbers = module.draw(table(), {})
    lines = drawn_lines(figure)
    keys = [column for column in ("task", "network", "init_scale", "metric", "series") if column in numbers]
    x = {"learning_curves": "train_size", "strength_by_labels": "gamma", "alignment_over_training": "step"}[name]
    means = numbers[numbers["kind"] == "mean"]
    assert len(means)
    for key, group in means.groupby(keys):
        shifts = strength_by_labels.SHIFTS if name == "strength_by_labels" else (1,)
        assert any(is_drawn(lines, group[x] * shift, group["value"]) for shift in shifts), key


def test_learning_curves_draw_seeds_intervals_and_kernels():
    table = curves_table()
    figure, numbers = learning_curves.draw(table, {})
    error = numbers[(numbers["metric"] == "test_error") & (numbers["task"] == "staircase")]
    assert set(error["series"]) == {"network", "closed-form NTK", "empirical NTK"}
    seeds = error[(error["series"] == "network") & (error["kind"] == "seed")]
    assert len(seeds) == len(SEEDS) * 7
    assert is_drawn(drawn_lines(figure), *(seeds[seeds["seed"] == "3"][column] for column in ("train_size", "value")))
    means = error[(error["series"] == "network") & (error["kind"] == "mean")]
    truth = table[(table["metric"] == "test_error") & (table["stage"] == "final") & (table["task"] == "staircase")]
    assert np.allclose(means["value"], truth.groupby("train_size")["value"].mean())
    assert ((means["ci_low"] < means["value"]) & (means["value"] < means["ci_high"])).all()
    empirical = error[(error["series"] == "empirical NTK") & (error["kind"] == "seed")]
    closed_form = error[
        (error["series"] == "closed-form NTK") & (error["kind"] == "seed") & (error["train_size"] <= 1024)
    ]
    assert np.allclose(empirical["value"].to_numpy(), 1.1 * closed_form["value"].to_numpy())


def test_learning_curves_mark_the_critical_size():
    table = curves_table()
    figure, numbers = learning_curves.draw(table, {"epsilon": 0.2})
    critical = numbers[(numbers["metric"] == "critical_dataset_size") & (numbers["kind"] == "median")].set_index("task")
    sizes = table[table["metric"] == "critical_dataset_size"].groupby("task")["value"].median()
    assert critical.loc["staircase", "value"] == pytest.approx(sizes["staircase"])
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any(f"{sizes['staircase']:,.0f}" in word for word in words)
    # half of the seeds never get there: the median is infinite
    assert any("m* not reached in 3 of 6 seeds" in word for word in words)
    assert is_drawn(drawn_lines(figure), [0, 1], [0.2, 0.2])


def test_a_network_that_is_ahead_at_every_size_has_only_a_bound_on_its_critical_size():
    table = curves_table()
    ahead = table.assign(value=table["value"].where(table["metric"] != "critical_dataset_size", 128))
    figure, _ = learning_curves.draw(ahead, {})
    assert "m* ≤ 128" in [text.get_text() for axes in figure.axes for text in axes.texts]


def test_strength_panels():
    figure, numbers = strength_by_labels.draw(strength_table(), {})
    assert len(figure.axes) == 2 * 3
    assert set(numbers["network"]) == {"mlp", "cnn"}
    assert figure.axes[0].get_yscale() == "log"  # 0.3 down to 0.003
    assert figure.axes[2].get_yscale() == "linear"
    assert not (numbers["value"] == 0).any()  # the initial stage is not drawn


def test_alignment_panels():
    figure, numbers = alignment_over_training.draw(alignment_table(), {})
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "initial scale 0.1",
        "initial scale 0.3",
        "initial scale 1",
    ]
    uncentered = numbers[
        (numbers["metric"] == "uncentered_nfa") & (numbers["init_scale"] == "1") & (numbers["kind"] == "mean")
    ]
    assert list(uncentered["step"]) == [0, 1, 3, 10, 30, 100, 300, 1000, 3000]
    null = numbers[numbers["metric"] == "uncentered_nfa_null"]
    assert (null["low"] < null["high"]).all()
    assert (numbers[numbers["metric"] == "nfa_ratio"]["step"] > 0).all()  # 0/0 at the start
    assert figure.axes[3].get_yscale() == "log"


@every_figure
def test_small_tables_of_one_seed_and_one_level(name):
    module, table = FIGURES[name]
    figure, numbers = module.draw(table(**SMALL[name]), {})
    figure.savefig(os.devnull, format="png")
    assert len(numbers)


@every_figure
def test_columns_of_other_experiments_do_not_matter(name):
    module, table = FIGURES[name]
    foreign = table(**SMALL[name]).assign(foreign_axis=np.nan)
    pd.testing.assert_frame_equal(module.draw(foreign, {})[1], module.draw(table(**SMALL[name]), {})[1])


@every_figure
def test_every_axis_is_labelled_and_every_series_in_the_legend(name):
    module, table = FIGURES[name]
    figure, _ = module.draw(table(), {"title": "A title in words"})
    columns = len({axes.get_subplotspec().colspan.start for axes in figure.axes})
    assert all(axes.get_xlabel() for axes in figure.axes[-columns:])
    assert all(axes.get_ylabel() for axes in figure.axes if axes.get_subplotspec().colspan.start == 0)
    assert figure.get_suptitle() == "A title in words"
    (legend,) = figure.legends
    assert len(legend.get_texts()) >= 3


@every_figure
def test_diverged_members_are_left_out_and_counted(name):
    module, table = FIGURES[name]
    whole = table()
    lost = (whole["seed"] == 0) & (whole["run"] == whole["run"].iloc[0]) & (whole["metric"] != "critical_dataset_size")
    broken = whole.assign(
        status=whole["status"].where(~lost, "diverged"),
        value=whole["value"].where(~lost | (whole["stage"] == ""), np.nan),
    )
    axes = [column for column in ("task", "train_size", "network", "labels", "gamma", "init_scale") if column in whole]
    count, total = len(whole[lost][axes].drop_duplicates()), len(whole[[*axes, "seed"]].drop_duplicates())
    figure, numbers = module.draw(broken, {})
    assert f"{count} of {total} trainings diverged" in small_print(figure)
    kept = numbers[numbers["metric"] != "critical_dataset_size"]
    assert kept.loc[kept["kind"] == "mean", "n_seeds"].min() == len(SEEDS) - 1
    assert "diverged" not in small_print(module.draw(whole, {})[0])


def test_the_palette_changes_colours_and_not_numbers():
    figure, numbers = strength_by_labels.draw(strength_table(), {})
    other, same = strength_by_labels.draw(strength_table(), {"palette": "bright"})
    pd.testing.assert_frame_equal(numbers, same)
    assert not same_color(figure.axes[0].get_lines()[0].get_color(), other.axes[0].get_lines()[0].get_color())
    with pytest.raises(ValueError, match="'brigth' is no seaborn palette"):
        strength_by_labels.draw(strength_table(), {"palette": "brigth"})


def test_the_width_is_in_inches():
    assert learning_curves.draw(curves_table(), {"width": 5})[0].get_size_inches()[0] == 5


def test_a_missing_axis_is_named():
    with pytest.raises(ValueError, match="strength_by_labels needs the axes gamma; the table has: task, train_size"):
        strength_by_labels.draw(curves_table(), {})
    with pytest.raises(ValueError, match="finds none of its metrics"):
        strength_by_labels.draw(strength_table().assign(metric="other"), {})


def test_drawing_leaves_no_global_state():
    before = dict(rcParams)
    learning_curves.draw(curves_table(**SMALL["learning_curves"]), {})
    assert dict(rcParams) == before
    assert plt.get_fignums() == []


def test_several_values_of_a_seed_count_once():
    rows = normalised(pd.DataFrame([row("m", value, 0, step=1) for value in (1.0, 3.0)] + [row("m", 4.0, 1, step=1)]))
    per_seed, summary = over_seeds(rows, "step")
    assert list(per_seed["value"]) == [2.0, 4.0]
    assert summary.loc[0, "value"] == 3.0 and summary.loc[0, "n_seeds"] == 2


@every_figure
def test_a_table_from_a_file_gives_the_same_numbers(name, tmp_path):
    module, table = FIGURES[name]
    small = table(**SMALL[name])
    small.to_csv(tmp_path / "table.csv", index=False)
    pd.testing.assert_frame_equal(module.draw(read(tmp_path / "table.csv"), {})[1], module.draw(small, {})[1])


def test_the_saved_table_holds_the_plotted_numbers(tmp_path):
    figure, numbers = strength_by_labels.draw(strength_table(**SMALL["strength_by_labels"]), {})
    pdf, png, table = save(figure, numbers, tmp_path / "deeper" / "scale-0.3")
    assert (pdf.name, png.name, table.name) == ("scale-0.3.pdf", "scale-0.3.png", "scale-0.3.csv")
    assert np.allclose(pd.read_csv(table)["value"], numbers["value"], rtol=1e-9)


def test_files_are_equal_in_every_process(tmp_path):
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "import test_figures as t; t.write_small(Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other"), str(Path(__file__).parent)], env=environment, check=True
    )
    write_small(tmp_path / "here")
    for kind in ("pdf", "png", "csv"):
        assert (tmp_path / f"here.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes(), kind


def write_small(stem):
    save(*alignment_over_training.draw(alignment_table(**SMALL["alignment_over_training"]), {}), stem)


def test_series_look_different_without_colour():
    assert len({style.marker(series) for series in ("network", "closed-form NTK", "empirical NTK")}) == 3
    assert style.marker("true") != style.marker("shuffled")


def test_strength_by_labels_has_a_row_of_panels_for_each_set_of_images_and_network():
    sets = [
        strength_table(networks=networks).assign(images=images, run=images)
        for images, networks in (("digits", ("mlp", "cnn")), ("cifar10", ("cnn",)))
    ]
    sets[1]["value"] *= 0.5
    figure, numbers = strength_by_labels.draw(pd.concat(sets, ignore_index=True), {})
    titles = [axes.get_title() for axes in figure.axes]
    shown = ("ntk_strength", "conjugate_kernel_strength", "test_accuracy")
    assert titles[:3] == [f"{strength_by_labels.COLUMNS[metric][0]}\ndigits, MLP" for metric in shown]
    assert titles[::3][1:] == ["digits, CNN", "CIFAR-10, CNN"]  # a pair that is not there has no panels
    lines = drawn_lines(figure)
    means = numbers[numbers["kind"] == "mean"]
    assert means.groupby(["images", "network"]).ngroups == 3
    for key, group in means.groupby(["images", "network", "metric", "series"]):
        assert any(is_drawn(lines, group["gamma"] * shift, group["value"]) for shift in strength_by_labels.SHIFTS), key
    one = strength_by_labels.draw(sets[0], {})[0]  # with one set of images nothing says so
    assert [axes.get_title().splitlines()[-1] for axes in one.axes][::3] == ["MLP", "CNN"]
