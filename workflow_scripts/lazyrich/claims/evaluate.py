"""The claims of one paper, judged on the tidy table: one record per claim."""

import difflib
import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lazyrich.claims import verdict
from lazyrich.claims.expression import evaluate as evaluate_expression
from lazyrich.claims.expression import names
from lazyrich.claims.quantities import Quantity, describe, select
from lazyrich.intervals import Interval, generator_for, interval
from lazyrich.scales import SCALES, large_enough
from lazyrich.tidy import normalised, sort_key

#: Columns of results/claims.csv; a record has these and the keys of :data:`DETAILS`.
COLUMNS = (
    *("paper", "claim", "where", "statement", "metric", "expected", "tolerance", "measured", "ci_low", "ci_high"),
    *("n_seeds", "scale", "verdict", "reason"),
)
DETAILS = ("published", "tolerance_from", "statistic", "interval_method", "values", "excluded_seeds")

NO_INTERVAL = Interval(math.nan, math.nan, math.nan, 0, "none")


def evaluate(
    paper: str,
    claims: Mapping[str, Mapping[str, Mapping]],
    table: pd.DataFrame,
    *,
    scale: str,
    reference: Mapping | None = None,
) -> list[dict[str, object]]:
    """Judge every claim of one paper.

    Args:
        paper: its short name, e.g. "goring2025".
        claims: experiment -> claim -> specification (``where, statement, quantities, expression, statistic,
            published, expected, tolerance, tolerance_from, smallest_scale, min_seeds``; docs/configuration.md).
        table: tidy rows of the paper's experiments.
        scale: the scale at which they were made.
        reference: the content of ``resources/reference/<paper>.yaml``; ``published`` may name an entry of its
            ``numbers``.

    Returns:
        One record per claim, in the order given, with the keys :data:`COLUMNS` and :data:`DETAILS`; plain data, but
        ``measured``, ``ci_low`` and ``ci_high`` may be NaN (no value) or infinite. ``claim`` is
        ``<experiment>.<claim>``.

    Raises:
        ValueError: for a claim that cannot be evaluated whatever the data, with the claim's name in front.
    """
    rows = normalised(table)
    records = []
    for experiment, specifications in claims.items():
        of_experiment = _of_experiment(rows, experiment)
        for name, specification in specifications.items():
            try:
                record = _record(
                    specification, of_experiment, scale, generator_for(paper, experiment, name), reference or {}
                )
            except ValueError as error:
                raise ValueError(f"claim {experiment}.{name} of {paper}: {error}") from error
            records.append({"paper": paper, "claim": f"{experiment}.{name}"} | record)
    return records


def _of_experiment(rows: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The rows of one experiment, without the axes of others: selecting by such an axis is an error."""
    own = rows[rows["experiment"] == experiment]
    return (
        own
        if not len(own)
        else own.drop(columns=[name for name in own.columns if name not in KEEP and (own[name] == "").all()])
    )


#: Columns that may be empty in a whole experiment and can be selected all the same.
KEEP = ("step", "stage", "layer", "value")


def _record(
    specification: Mapping, rows: pd.DataFrame, scale: str, generator: np.random.Generator, reference: Mapping
) -> dict[str, object]:
    expected = verdict.expected_range(specification["expected"], specification.get("tolerance", 0.0))
    statistic = specification.get("statistic", "mean")
    selectors = specification["quantities"]
    used = names(specification["expression"])
    if set(selectors) - used:
        raise ValueError(
            f"the expression {specification['expression']!r} does not use {', '.join(sorted(set(selectors) - used))}"
        )
    judged_here = large_enough(scale, specification.get("smallest_scale", SCALES[0]))
    found = {name: select(rows, selector) for name, selector in selectors.items()} if len(rows) else {}
    values, excluded, unpaired = _paired(specification["expression"], found)
    estimate = interval(values, generator=generator, statistic=statistic) if len(values) else NO_INTERVAL
    if not judged_here:
        word = verdict.NEEDS_LARGER_SCALE
        reason = f"can be judged from scale {specification['smallest_scale']!r} on; this is {scale!r}"
    elif not len(values):
        word, reason = verdict.UNDECIDED, _why_missing(found, excluded)
    else:
        word, reason = verdict.judge(
            estimate,
            expected,
            min_seeds=specification.get("min_seeds", verdict.DEFAULT_SEEDS),
            excluded=len(excluded) + len(unpaired),
        )
        if excluded:
            reason += f"; {verdict.count(len(excluded), 'seed')} diverged or undefined and left out"
        if unpaired:
            reason += f"; {verdict.count(len(unpaired), 'seed')} without all quantities and left out"
    return {
        "where": specification["where"],
        "statement": " ".join(specification["statement"].split()),
        "metric": _metric(specification["expression"], selectors, statistic),
        "expected": str(expected),
        "tolerance": expected.tolerance,
        "measured": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n_seeds": estimate.count,
        "scale": scale,
        "verdict": word,
        "reason": reason,
        "published": published_text(specification.get("published"), reference),
        "tolerance_from": " ".join((specification.get("tolerance_from") or "").split()),
        "statistic": statistic,
        "interval_method": estimate.method,
        "values": {seed: float(value) for seed, value in values.items()},
        "excluded_seeds": [*excluded, *unpaired],
    }


def _paired(expression: str, found: Mapping[str, Quantity]) -> tuple[pd.Series, list[str], list[str]]:
    """The value per seed that has all quantities; seeds with a diverged or undefined one; seeds that lack one."""
    if not found:
        return pd.Series(dtype="float64"), [], []
    lost = {seed for quantity in found.values() for seed in quantity.diverged}
    present = [set(quantity.values.index) for quantity in found.values()]
    seeds = sorted(set.intersection(*present) - lost, key=sort_key)
    unpaired = sorted(set.union(*present) - set(seeds) - lost, key=sort_key)
    arrays = {name: quantity.values.loc[seeds].to_numpy() for name, quantity in found.items()}
    values = pd.Series(
        np.broadcast_to(evaluate_expression(expression, arrays), len(seeds)), index=seeds, dtype="float64"
    )
    lost |= set(values.index[values.isna()])
    return values.dropna(), sorted(lost, key=sort_key), unpaired


def _why_missing(found: Mapping[str, Quantity], excluded: list[str]) -> str:
    if not found:
        return "the experiment has no rows"
    for quantity in found.values():
        if quantity.missing:
            return f"no data: {quantity.missing}"
    if excluded:
        return f"no data: all of {verdict.count(len(excluded), 'seed')} diverged or undefined"
    return "no data: no seed has all quantities"


def _metric(expression: str, selectors: Mapping[str, Mapping], statistic: str) -> str:
    described = {name: describe(selector) for name, selector in selectors.items()}
    if expression.strip() in described:
        return f"{statistic} of {described[expression.strip()]}"
    return f"{statistic} of {expression.strip()}, with " + "; ".join(
        f"{name} = {words}" for name, words in described.items()
    )


def published_text(published: object, reference: Mapping) -> str:
    """What the paper prints: ``published`` itself, or the ``text`` of the reference number whose key it is; "" if none.

    A single word in snake_case is taken for a key; ``ValueError`` if the reference has no such number.
    """
    if published is None:
        return ""
    numbers = reference.get("numbers", {})
    if isinstance(published, str) and published in numbers:
        return str(numbers[published]["text"])
    if isinstance(published, str) and re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", published):
        near = difflib.get_close_matches(published, numbers, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"published {published!r} is no number of the reference file{hint} There are: {', '.join(numbers)}"
        )
    return str(published)
