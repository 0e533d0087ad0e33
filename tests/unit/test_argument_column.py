"""Metrics that are functions: the column `argument` from the row of a metric to a claim."""

import json

import numpy as np
import pytest

from lazyrich import tidy
from lazyrich.claims.quantities import QuantityError, describe, select
from lazyrich.metrics.measuring import _plain
from lazyrich.metrics.member import Row


def rows(arguments, metric="error"):
    common = {
        "experiment": "e",
        "run": "base",
        "width": 8,
        "status": "finished",
        "step": 5,
        "stage": "final",
        "layer": "",
    }
    return [
        {**common, "seed": seed, "metric": metric, "value": seed + 1 / argument, "argument": argument}
        for seed in range(3) for argument in arguments
    ] + [{**common, "seed": seed, "metric": "other", "value": 2.0} for seed in range(3)]  # fmt: skip


def table(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(content))
    found = tidy.from_runs([path])
    found.to_csv(tmp_path / "table.csv", index=False)
    return found, tidy.read(tmp_path / "table.csv")


def test_only_rows_with_an_argument_carry_one():
    assert _plain(Row("m", 1.0, 3, "layer")) == ["m", 1.0, 3, "layer"]
    assert _plain(Row("m", 1.0, 3, argument=64)) == ["m", 1.0, 3, "", 64.0]


def test_the_column_is_there_where_a_metric_is_a_function_and_is_no_axis(tmp_path):
    for found in table(tmp_path, rows([16, 64])):
        assert list(found.columns)[-2:] == ["argument", "value"] and tidy.axes(found) == ["width"]
        assert found["argument"].dtype == np.float64
        assert found.loc[found["metric"] == "other", "argument"].isna().all()


def test_tables_without_such_metrics_are_as_they_were(tmp_path):
    plain = [row for row in rows([16]) if row["metric"] == "other"]
    for found in table(tmp_path, plain):
        assert list(found.columns) == ["experiment", "run", "width", *tidy.FIXED[2:]]


def test_a_claim_selects_by_argument(tmp_path):
    for found in table(tmp_path, rows([16, 64])):
        quantity = select(found, {"metric": "error", "argument": 64})
        np.testing.assert_allclose(quantity.values, [1 / 64, 1 + 1 / 64, 2 + 1 / 64])
        assert select(found, {"metric": "error", "argument": 16.0}).values.iloc[0] == 1 / 16
        assert len(select(found, {"metric": "other"}).values) == 3
        assert (
            select(found, {"metric": "error", "argument": 32}).missing == "no row has argument = 32 (there are: 16, 64)"
        )
        with pytest.raises(QuantityError, match=r"2 rows for seed 0; add a selector for argument \(16, 64\)"):
            select(found, {"metric": "error"})
    assert describe({"metric": "error", "argument": 64}) == "error (argument = 64)"
