"""The column of the gap in the figure of strength by labels, and the room that four columns have."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lazyrich.figures import strength_against_quality, strength_by_labels
from lazyrich.figures.strength_by_labels import COLUMNS, GAP, GAPS, SHIFTS

GAMMAS, SEEDS = (0.01, 0.1, 1), range(3)
STRENGTHS = ("ntk_strength", "conjugate_kernel_strength")
#: metric -> its mean over seeds, of true labels
MEANS = {
    "ntk_strength": 0.3, "conjugate_kernel_strength": 0.2, "test_accuracy": 0.9, "test_error": 0.4,
    **dict(zip(GAPS, (-0.1, 0.25, 0.5), strict=True)),
}  # fmt: skip


def table(metrics, networks=("mlp",), images=("digits",)):
    rows = []
    for image, network, labels, gamma, seed, metric in itertools.product(
        images, networks, ("true", "shuffled"), GAMMAS, SEEDS, metrics
    ):
        rows.append({
            "experiment": "e", "run": "base", "images": image, "network": network, "labels": labels, "gamma": gamma, "seed": seed,
            "status": "converged", "step": 9, "stage": "final", "layer": "", "metric": metric,
            "value": (MEANS[metric] + 0.01 * gamma) * (1 if labels == "true" else 0.5) + (seed - 1) / 1000,
        })  # fmt: skip
    return pd.DataFrame(rows)


def has_line(axes, x, y):
    lines = [line.get_xydata() for line in axes.get_lines()]
    return any(len(line) == len(x) and np.allclose(line, np.column_stack([x, y])) for line in lines)


def letters(text):
    return "".join(text.split())


@pytest.mark.parametrize("there", [names for count in (1, 2, 3) for names in itertools.combinations(GAPS, count)])
def test_the_first_gap_that_there_is_is_drawn_and_the_small_print_says_which(there):
    """In the order of GAPS, whatever their order in the table."""
    figure, numbers = strength_by_labels.draw(table((*STRENGTHS, *reversed(there), "test_accuracy")), {})
    assert [axes.get_title().rpartition("\n")[0] for axes in figure.axes] == [
        COLUMNS[metric][0] for metric in (*STRENGTHS, GAP, "test_accuracy")
    ]
    gap = figure.axes[2]
    for labels, share, shift in zip(("true", "shuffled"), (1, 0.5), SHIFTS, strict=True):
        means = [(MEANS[there[0]] + 0.01 * gamma) * share for gamma in GAMMAS]
        assert has_line(gap, np.array(GAMMAS) * shift, means)
        chosen = numbers[(numbers["metric"] == GAP) & (numbers["series"] == labels) & (numbers["kind"] == "mean")]
        np.testing.assert_allclose(chosen["value"], means)
    words = letters(figure.legends[0].get_title().get_text())
    assert [name for name in GAPS if letters(GAPS[name]) in words] == [there[0]]
    assert set(numbers["metric"]) == {*STRENGTHS, GAP, "test_accuracy"}


def test_the_gap_alone_has_a_line_at_zero_and_keeps_its_sign():
    figure, _ = strength_by_labels.draw(table((*STRENGTHS, next(iter(GAPS)), "test_error")), {})
    assert [has_line(axes, [0, 1], [0, 0]) for axes in figure.axes] == [False, False, True, False]
    assert (
        figure.axes[2].get_yscale() == "linear" and figure.axes[2].get_ylim()[0] < -0.1 < figure.axes[2].get_ylim()[1]
    )


def test_the_order_of_gaps_is_that_of_the_figure_of_all_networks():
    assert tuple(GAPS) == strength_against_quality.GAPS == (f"{GAP}_matched", GAP, f"{GAP}_empirical")


def test_without_a_gap_nothing_is_said_of_it():
    figure, numbers = strength_by_labels.draw(table((*STRENGTHS, "test_accuracy")), {})
    assert len(figure.axes) == 3 and GAP not in set(numbers["metric"])
    assert "gap" not in figure.legends[0].get_title().get_text()


@pytest.mark.parametrize(("metrics", "shown"), [
    (("test_error", "test_accuracy"), "test_accuracy"), (("test_error",), "test_error"), (("test_accuracy",), "test_accuracy"),
])  # fmt: skip
def test_accuracy_comes_before_error(metrics, shown):
    figure, numbers = strength_by_labels.draw(table((*STRENGTHS, *metrics)), {})
    title, ordinate = COLUMNS[shown]
    assert (figure.axes[2].get_title(), figure.axes[2].get_ylabel()) == (f"{title}\nMLP", ordinate)
    assert len(figure.axes) == 3 and set(numbers["metric"]) == {*STRENGTHS, shown}


@pytest.mark.parametrize("images", [("digits",), ("cifar10", "mnist")])
@pytest.mark.parametrize("accuracy", ["test_accuracy", "test_error"])
def test_four_columns_do_not_overlap(images, accuracy):
    """Neither titles nor anything else of a panel reaches into the next, at the default width."""
    everything = table((*STRENGTHS, GAP, accuracy), ("mlp", "resnet"), images)
    figure, _ = strength_by_labels.draw(everything, {})
    with strength_by_labels.style.context():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        titles = [axes.title.get_window_extent(renderer) for axes in figure.axes]
        whole = [axes.get_tightbbox(renderer) for axes in figure.axes]
    assert len(figure.axes) == 4 * 2 * len(images) and all(box.width > 20 for box in titles)
    for boxes in (titles, whole):
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
    legend = figure.legends[0].get_window_extent(renderer)
    assert not any(legend.overlaps(box) for box in whole)
    edge = figure.bbox
    assert all(edge.x0 <= box.x0 and box.x1 <= edge.x1 and box.y1 <= edge.y1 for box in (*whole, legend))
