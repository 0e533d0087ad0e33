"""The figure of the Nystrom study on a table with known errors."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lazyrich.figures import nystrom_error

LANDMARKS = (16, 64)
SEEDS = range(3)


def study(networks=("mlp",), gammas=(1, 0.01)):
    rows = []
    for network, gamma, seed, stage, kernel in itertools.product(
        networks, gammas, SEEDS, ("initial", "final"), nystrom_error.KERNELS
    ):
        common = {
            "experiment": "e", "run": "base", "network": network, "gamma": gamma, "seed": seed, "status": "converged",
            "step": 0 if stage == "initial" else 9, "stage": stage, "layer": "",
        }  # fmt: skip
        rows.append({**common, "metric": f"{kernel}_exact_seconds", "value": 0.1})
        for method, quantity, m in itertools.product(nystrom_error.METHODS, nystrom_error.ROWS, LANDMARKS):
            value = (1 + seed / 10) * gamma**0.1 / m * (0.1 if method == "nystrom_low_rank" else 1)
            rows.append({**common, "metric": f"{kernel}_{method}_{quantity}", "value": value, "argument": m})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def drawn():
    return nystrom_error.draw(study(), {"title": "A title"})


def test_every_mean_is_drawn_in_its_panel(drawn):
    figure, numbers = drawn
    assert len(figure.axes) == 2 * len(nystrom_error.ROWS)
    means = numbers[(numbers["kind"] == "mean") & (numbers["metric"] == "ntk_nystrom_eigenvalue_error")]
    rich = means[(means["network"] == "mlp") & (means["series"] == "rich")]
    np.testing.assert_allclose(rich["value"], 1.1 / np.array(LANDMARKS))
    lines = [line.get_xydata() for line in figure.axes[0].get_lines()]
    assert any(np.allclose(line, np.column_stack([LANDMARKS, rich["value"]])) for line in lines if len(line) == 2)
    assert len(lines) == 6  # two methods of three networks
    assert set(means["series"]) == {"initial", "lazy", "rich"}
    assert (means["ci_low"] < means["value"]).all()


def test_lazy_is_the_least_gamma_and_a_single_one_is_rich(drawn):
    _, numbers = drawn
    final = numbers[(numbers["kind"] == "mean") & (numbers["argument"] == 16) & (numbers["network"] == "mlp")]
    value = final[final["metric"] == "ntk_nystrom_eigenvalue_error"].set_index("series")["value"]
    assert value["lazy"] / value["rich"] == pytest.approx(0.01**0.1)
    table = study(gammas=(1,))
    _, single = nystrom_error.draw(table[table["metric"].str.startswith("ntk")], {})
    assert set(single["series"]) == {"initial", "rich", "all"}


def test_labels_scales_and_legend(drawn):
    figure, _ = drawn
    panels = np.array(figure.axes).reshape(len(nystrom_error.ROWS), 2)
    assert [axes.get_ylabel() for axes in panels[:, 0]] == list(nystrom_error.ROWS.values())
    assert all(axes.get_xlabel() == "landmarks m" for axes in panels[-1])
    assert all(axes.get_xscale() == axes.get_yscale() == "log" for axes in figure.axes)
    assert panels[0, 0].get_title() == "NTK\nMLP" and panels[0, 1].get_title() == "conjugate kernel\nMLP"
    assert len(figure.legends[0].get_texts()) == 6 and figure.get_suptitle() == "A title"
    assert panels[0, 0].get_ylim()[0] >= nystrom_error.FLOOR


def test_what_is_missing_is_named_and_what_there_is_is_drawn():
    table = study(networks=("mlp", "cnn"))
    with pytest.raises(ValueError, match="needs the column `argument`"):
        nystrom_error.draw(table.drop(columns="argument"), {})
    part = table[table["metric"].str.startswith("ntk") & table["metric"].str.endswith("eigenvalue_error")]
    broken = part.assign(status=part["status"].where((part["seed"] != 0) | (part["network"] != "mlp"), "diverged"))
    figure, numbers = nystrom_error.draw(broken, {})
    assert [axes.get_title() for axes in figure.axes] == ["NTK\nMLP", "NTK\nCNN"]
    assert "2 of 12 trainings diverged" in " ".join(figure.legends[0].get_title().get_text().split())
    assert numbers.loc[(numbers["kind"] == "mean") & (numbers["network"] == "mlp"), "n_seeds"].eq(2).all()
