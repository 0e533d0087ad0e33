"""Claims: quantities, verdicts and tables, on synthetic data in which the answer is known."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lazyrich.claims import verdict
from lazyrich.claims.evaluate import COLUMNS, DETAILS, evaluate, published_text
from lazyrich.claims.quantities import MEASURED, QuantityError, select
from lazyrich.claims.table import tally, to_csv, to_terminal
from lazyrich.claims.verdict import NEEDS_LARGER_SCALE, NOT_REPRODUCED, REPRODUCED, UNDECIDED, Range, judge
from lazyrich.configuration import load
from lazyrich.intervals import Interval
from lazyrich.scales import large_enough
from lazyrich.tidy import normalised, read, text

ROOT = Path(__file__).parents[2]
INF = math.inf


# --- tables and quantities ------------------------------------------------------------------------------------------


def tidy(values, *, metric="m", seeds=None, **columns):
    """One row per value; ``columns`` are single values or lists."""
    base = {
        "experiment": "e",
        "run": "base",
        "labels": "true",
        "gamma": 1,
        "seed": seeds or list(range(len(values))),
        "status": "converged",
        "step": math.nan,
        "stage": "final",
        "layer": "",
        "metric": metric,
    }
    return pd.DataFrame(base | columns | {"value": values})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        ("True", "true"),
        (np.bool_(False), "false"),
        (10.0, "10"),
        ("10", "10"),
        ("1e-3", "0.001"),
        (0.30, "0.3"),
        (None, ""),
        (math.nan, ""),
        ("hidden.0", "hidden.0"),
        (np.int64(3), "3"),
        ("inf", "inf"),
    ],
)
def test_one_spelling_of_values(value, expected):
    assert text(value) == expected


def test_a_table_is_the_same_from_memory_and_from_a_file(tmp_path):
    table = tidy([0.1, INF, math.nan], labels=[True, True, True], gamma=[1, 0.1, 1e-3], step=[0, 10, math.nan])
    table.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path / "t.csv"), normalised(table))
    assert list(normalised(table)["gamma"]) == ["1", "0.1", "0.001"]
    with pytest.raises(ValueError, match="lacks the columns metric"):
        normalised(table.drop(columns="metric"))


def test_select_compares_values_in_one_spelling():
    table = normalised(pd.concat([tidy([1.0, 2.0], labels=True), tidy([3.0, 4.0], labels="shuffled", gamma="0.10")]))
    assert list(select(table, {"metric": "m", "labels": True}).values) == [1.0, 2.0]
    assert list(select(table, {"metric": "m", "labels": "true", "gamma": 1.0}).values) == [1.0, 2.0]
    assert list(select(table, {"metric": "m", "gamma": 0.1, "stage": "final"}).values) == [3.0, 4.0]


def test_seeds_are_sorted_as_numbers():
    table = normalised(tidy([1.0, 2.0, 3.0], seeds=[10, 9, 0]))
    assert list(select(table, {"metric": "m"}).values.index) == ["0", "9", "10"]


def test_a_seed_with_several_rows_names_the_missing_selector():
    table = normalised(pd.concat([tidy([1.0, 2.0], gamma=1), tidy([1.0, 2.0], gamma=0.1, step=[5, 5])]))
    with pytest.raises(QuantityError) as error:
        select(table, {"metric": "m", "labels": "true"})
    assert (
        str(error.value)
        == "m (labels = true) has 2 rows for seed 0; add a selector for gamma (0.1, 1); step (5, (empty))"
    )
    with pytest.raises(QuantityError, match="holds the same row several times"):
        select(normalised(pd.concat([tidy([1.0]), tidy([1.0])])), {"metric": "m"})


def test_diverged_seeds_are_excluded_and_counted():
    table = tidy([1.0, math.nan, 3.0, 4.0], status=["converged", "converged", "diverged", "converged"])
    # a diverged member has history, but no row of the final stage
    history = tidy([7.0], seeds=[5], status="diverged", stage="", step=10)
    # nor any row of the metric
    other = tidy([7.0], seeds=[6], status="diverged", stage="", step=10, metric="test_error")
    elsewhere = tidy([7.0], seeds=[0], status="diverged", metric="test_error", gamma=0.1)
    table = normalised(pd.concat([table, history, other, elsewhere]))
    quantity = select(table, {"metric": "m", "stage": "final", "gamma": 1})
    assert list(quantity.values) == [1.0, 4.0]
    assert quantity.diverged == ("1", "2", "5", "6")


def test_selector_errors():
    table = normalised(tidy([1.0]))
    with pytest.raises(QuantityError, match="cannot select by 'gama': no such axis; did you mean 'gamma'?"):
        select(table, {"metric": "m", "gama": 1})
    with pytest.raises(QuantityError, match="names no metric"):
        select(table, {"gamma": 1})
    assert select(table, {"metric": "m", "gamma": 0.5}).missing == "no row has gamma = 0.5 (there are: 1)"


# --- verdicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "at_least", "at_most", "tolerance", "expected"),
    [
        (600, 1800, 500, 2000, 0, REPRODUCED),
        (500, 2000, 500, 2000, 0, REPRODUCED),  # the ends count as inside
        (400, 1800, 500, 2000, 0, UNDECIDED),
        (600, 2100, 500, 2000, 0, UNDECIDED),
        (400, 2100, 500, 2000, 0, UNDECIDED),
        (2001, 3000, 500, 2000, 0, NOT_REPRODUCED),
        (100, 499, 500, 2000, 0, NOT_REPRODUCED),
        (2000, 3000, 500, 2000, 0, UNDECIDED),  # touching is not disjoint
        (400, 1800, 500, 2000, 100, REPRODUCED),
        (2050, 2060, 500, 2000, 100, REPRODUCED),
        (2050, 2200, 500, 2000, 100, UNDECIDED),
        (2101, 2200, 500, 2000, 100, NOT_REPRODUCED),
        (0.001, 0.004, -INF, 0.01, 0, REPRODUCED),
        (0.02, 0.04, -INF, 0.01, 0, NOT_REPRODUCED),
        (0.95, 1.3, 0.9, INF, 0, REPRODUCED),
        (INF, INF, -INF, 2000, 0, NOT_REPRODUCED),  # a size that is never reached
        (900, INF, 500, 2000, 0, UNDECIDED),
        (900, INF, 500, INF, 0, REPRODUCED),
        (math.nan, math.nan, 500, 2000, 0, UNDECIDED),
    ],
)
def test_verdict(low, high, at_least, at_most, tolerance, expected):
    estimate = Interval((low + high) / 2, low, high, 5, "BCa")
    assert judge(estimate, Range(at_least, at_most, tolerance))[0] == expected


@given(
    st.floats(-10, 10),
    st.floats(0, 5),
    st.floats(-10, 10),
    st.floats(0, 5),
    st.floats(0, 3),
    st.integers(0, 1),
)
def test_the_verdict_is_the_rule(low, length, at_least, width, tolerance, open_end):
    """Against an independent statement of the rule, by points: all of the interval inside, none of it, or some."""
    at_most = INF if open_end else at_least + width
    points = np.linspace(low, low + length, 101)
    inside = (points >= at_least - tolerance) & (points <= at_most + tolerance)
    word = judge(Interval(low, low, low + length, 9, "BCa"), Range(at_least, at_most, tolerance))[0]
    if word == REPRODUCED:
        assert inside[1:-1].all()
    elif word == NOT_REPRODUCED:
        assert not inside.any()
    else:
        assert word == UNDECIDED
        assert not (inside[0] and inside[-1])  # an interval with both ends inside a range is inside it


def test_too_few_seeds_are_undecided():
    inside = Interval(1.0, 0.9, 1.1, 2, "BCa")
    assert judge(inside, Range(0, 2)) == (UNDECIDED, "only 2 seeds, and the claim asks for at least 3")
    assert judge(inside, Range(0, 2), min_seeds=2)[0] == REPRODUCED
    assert judge(Interval(1.0, 0.9, 1.1, 4, "BCa"), Range(0, 2), excluded=5) == (
        UNDECIDED,
        "5 of 9 seeds have no value, so the others are a selection",
    )


@pytest.mark.parametrize(
    ("expected", "tolerance", "message"),
    [
        ({}, 0, "a claim without bounds can never fail"),
        ({"at_least": 2, "at_most": 1}, 0, "at_least 2 is above at_most 1"),
        ({"atleast": 2}, 0, "unknown keys atleast"),
        ({"at_least": 2}, -1, "tolerance -1.0 must be"),
    ],
)
def test_impossible_bounds(expected, tolerance, message):
    with pytest.raises(ValueError, match=message):
        verdict.expected_range(expected, tolerance)


def test_scales_are_ordered():
    assert large_enough("full", "reduced") and large_enough("reduced", "reduced")
    assert not large_enough("smoke", "reduced")
    with pytest.raises(ValueError, match="unknown scale 'large'; the scales are smoke < reduced < full"):
        large_enough("large", "full")


# --- claims of a paper ----------------------------------------------------------------------------------------------


def claim(**changes):
    base = {
        "where": "fig. 1",
        "statement": "the ratio\n is small",
        "quantities": {"ratio": {"metric": "m"}},
        "expression": "ratio",
        "expected": {"at_most": 0.5},
        "tolerance_from": "the paper",
        "smallest_scale": "reduced",
    }
    return base | changes


def judged(table, scale="reduced", reference=None, **changes):
    (record,) = evaluate("paper", {"e": {"c": claim(**changes)}}, table, scale=scale, reference=reference)
    return record


@pytest.mark.parametrize(("centre", "expected"), [(0.2, REPRODUCED), (0.5, UNDECIDED), (0.9, NOT_REPRODUCED)])
def test_verdicts_from_data(centre, expected):
    values = centre + 0.05 * np.linspace(-1, 1, 6)
    record = judged(tidy(values))
    assert record["verdict"] == expected
    assert record["measured"] == pytest.approx(centre)
    assert record["ci_low"] < centre < record["ci_high"]
    assert record["n_seeds"] == 6
    assert set(record) == {*COLUMNS, *DETAILS}


def test_quantities_are_paired_by_seed():
    # the difference is exact within each seed, while both sides scatter widely; rows are shuffled
    noise = np.random.default_rng(0).normal(0, 100, 8)
    small = tidy(noise + 1.0, metric="a", seeds=[3, 1, 0, 2, 7, 5, 4, 6])
    large = tidy(noise, metric="b", seeds=[3, 1, 0, 2, 7, 5, 4, 6]).sample(frac=1, random_state=0)
    quantities = {"small": {"metric": "a"}, "large": {"metric": "b"}}
    record = judged(
        pd.concat([small, large]),
        quantities=quantities,
        expression="small - large",
        expected={"at_least": 0.9, "at_most": 1.1},
    )
    assert record["verdict"] == REPRODUCED
    assert record["metric"] == "mean of small - large, with small = a; large = b"


def test_seeds_without_all_quantities_are_counted():
    table = pd.concat([tidy([1.0, 1.1, 1.2, 1.3], metric="a"), tidy([2.0, 2.1, math.nan], metric="b", seeds=[0, 1, 2])])
    record = judged(table, quantities={"a": {"metric": "a"}, "b": {"metric": "b"}}, expression="a - b", min_seeds=2)
    assert record["n_seeds"] == 2
    assert record["excluded_seeds"] == ["2", "3"]
    assert "1 seed diverged or undefined and left out; 1 seed without all quantities" in record["reason"]


def test_an_undefined_expression_excludes_the_seed():
    record = judged(tidy([0.0, 1.0, 1.1, 1.2]), expression="0 * ratio / ratio + 0.1")
    assert record["n_seeds"] == 3 and record["excluded_seeds"] == ["0"]


def test_missing_data_is_undecided_with_the_reason():
    assert (
        judged(tidy([1.0]), quantities={"ratio": {"metric": "other"}})["reason"]
        == "no data: no row has metric = other (there are: m)"
    )
    record = judged(tidy([1.0] * 5, status="diverged"))
    assert (record["verdict"], record["reason"]) == (UNDECIDED, "no data: all of 5 seeds diverged or undefined")
    assert judged(tidy([1.0], experiment="another"))["reason"] == "the experiment has no rows"
    assert judged(tidy([0.1, 0.2]))["reason"] == "only 2 seeds, and the claim asks for at least 3"


def test_a_smaller_scale_is_not_judged_but_measured():
    record = judged(tidy([0.1, 0.2, 0.3]), scale="smoke")
    assert record["verdict"] == NEEDS_LARGER_SCALE
    assert record["measured"] == pytest.approx(0.2)
    assert record["reason"] == "can be judged from scale 'reduced' on; this is 'smoke'"


def test_a_median_stands_an_infinite_size():
    record = judged(
        tidy([800.0, 900.0, 1000.0, 1100.0, INF]), statistic="median", expected={"at_least": 500, "at_most": 2000}
    )
    assert record["measured"] == 1000 and record["ci_high"] == INF
    assert record["verdict"] == UNDECIDED


def test_mistakes_in_a_claim_name_the_claim():
    for changes, message in (
        ({"expression": "ration"}, "claim e.c of paper: .*does not use ratio"),
        ({"expression": "ratio / kernel"}, "claim e.c of paper: unknown quantity 'kernel'"),
        ({"quantities": {"ratio": {"metric": "m", "gama": 1}}}, "claim e.c of paper: cannot select by 'gama'"),
        ({"expected": {}}, "claim e.c of paper: a claim without bounds"),
        ({"published": "critical_sise"}, "claim e.c of paper: .*did you mean 'critical_size'"),
    ):
        with pytest.raises(ValueError, match=message):
            judged(tidy([1.0, 2.0]), reference={"numbers": {"critical_size": {"text": "about 1e3"}}}, **changes)


def test_published_names_a_reference_number_or_is_text():
    reference = {"numbers": {"critical_size": {"text": "about 1e3"}}}
    assert published_text("critical_size", reference) == "about 1e3"
    assert published_text("about 1e4", reference) == "about 1e4"
    assert published_text(0.5, reference) == "0.5"
    assert published_text(None, reference) == ""


def test_axes_of_other_experiments_cannot_be_selected():
    with pytest.raises(ValueError, match="cannot select by 'init_scale'"):
        judged(tidy([1.0, 2.0], init_scale=math.nan), quantities={"ratio": {"metric": "m", "init_scale": 1}})


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def records():
    claims = {
        "good": claim(),
        "bad": claim(expected={"at_least": 10}, statement="a statement " * 20),
        "unclear": claim(expected={"at_most": 0.2}, tolerance=0.001),
        "later": claim(smallest_scale="full"),
        "absent": claim(quantities={"ratio": {"metric": "none"}}),
    }
    return evaluate("paper", {"e": claims}, tidy([0.1, 0.2, 0.3, 0.25]), scale="reduced")


def test_csv(records):
    lines = list(csv.reader(io.StringIO(to_csv(records))))
    assert ",".join(lines[0]) == (
        "paper,claim,where,statement,metric,expected,tolerance,measured,ci_low,ci_high,n_seeds,scale,verdict,reason"
    )
    assert [line[12] for line in lines[1:]] == [REPRODUCED, NOT_REPRODUCED, UNDECIDED, NEEDS_LARGER_SCALE, UNDECIDED]
    assert lines[1][:8] == [
        "paper",
        "e.good",
        "fig. 1",
        "the ratio is small",
        "mean of m",
        "at most 0.5",
        "0",
        "0.2125",
    ]
    assert lines[5][7:10] == ["", "", ""]


@pytest.mark.parametrize("width", [40, 60, 90, 120, 200])
def test_the_terminal_table_keeps_to_the_width_and_says_all(records, width):
    shown = to_terminal(records, width)
    assert max(map(len, shown.splitlines())) <= width
    assert "\x1b" not in shown
    together = " ".join(shown.split())
    for words in ("NOT REPRODUCED", "reproduced", "undecided", "fig. 1", "e.good"):
        assert words in together
    assert " ".join(tally(records).split()) in together


def test_tally(records):
    assert tally(records) == "5 claims: 1 reproduced, 1 not reproduced, 2 undecided, 1 needs a larger scale"
    assert tally(records[3:4] * 2) == "2 claims: 2 need a larger scale"
    assert to_terminal([], 80) == "No claims."


# --- the claims that ship -------------------------------------------------------------------------------------------

PAPERS = sorted(path.stem for path in (ROOT / "config/experiments").glob("*.yaml"))


def shipped(paper):
    config = yaml.safe_load((ROOT / f"config/experiments/{paper}.yaml").read_text())
    reference = yaml.safe_load((ROOT / f"resources/reference/{paper}.yaml").read_text())
    return (
        {name: experiment.get("claims") or {} for name, experiment in config["experiments"].items()},
        config,
        reference,
    )


@pytest.mark.parametrize("paper", PAPERS)
def test_shipped_claims_can_be_judged(paper):
    """With random numbers at every sweep point and metric that the claims name, each claim has a value. The points are those of the
    smallest scale at which the claim is judged."""
    claims, _, reference = shipped(paper)
    generator = np.random.default_rng(0)
    tables = []
    for name, experiment_claims in claims.items():
        for specification in experiment_claims.values():
            at = load(ROOT, {"scale": specification.get("smallest_scale", "smoke")})
            sweep = at.experiments[name]["sweep"]
            axes = {axis: next(iter(lists.values())) for group in sweep.values() for axis, lists in group.items()}
            for selector in specification["quantities"].values():
                own = {axis: value for axis, value in selector.items() if axis not in MEASURED}
                assert all(text(value) in map(text, axes[axis]) for axis, value in own.items()), f"no sweep point {own}"
                columns = {"labels": "", "gamma": ""} | dict.fromkeys(axes, "any") | selector
                tables.append(tidy(generator.uniform(1, 2, 5), experiment=name, **columns))
    table = pd.concat(tables)
    table = table.drop_duplicates(subset=[column for column in table.columns if column != "value"])
    for record in evaluate(paper, claims, table, scale="full", reference=reference):
        assert record["n_seeds"] == 5 and record["published"], record["claim"]
    with_nothing = evaluate(paper, claims, table.iloc[:0], scale="full", reference=reference)
    assert {record["verdict"] for record in with_nothing} == {UNDECIDED}


@pytest.mark.parametrize("paper", PAPERS)
def test_reference_numbers_say_where_they_stand_and_how_sure_they_are(paper):
    _, _, reference = shipped(paper)
    assert reference["paper"] == paper
    for name, number in reference["numbers"].items():
        assert number["text"] and number["where"], name
        assert number["certainty"] in ("stated", "recalled", "derived"), name
