"""The table of claims, as CSV and for the terminal."""

import csv
import io
import math
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from lazyrich.claims.evaluate import COLUMNS
from lazyrich.claims.verdict import NEEDS_LARGER_SCALE, VERDICTS, count

Record = Mapping[str, object]

#: Narrower than this, cells would hold a word or two a line, so each claim becomes a block of labelled lines.
NARROWEST_TABLE = 90
HEADINGS = ("verdict", "claim", "expected", "measured")


def to_csv(records: Sequence[Record]) -> str:
    """The text of results/claims.csv: one line per claim, numbers with six significant digits, none as empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(record[name]) for name in COLUMNS] for record in records)
    return buffer.getvalue()


def to_terminal(records: Sequence[Record], width: int | None = None) -> str:
    """A readable table, wrapped to ``width`` characters (default: the terminal's), with a tally of the verdicts last.

    Verdicts are words, in capitals where they need attention. Below 90 characters each claim is a block of lines.
    """
    width = width or shutil.get_terminal_size().columns
    if not records:
        return "No claims."
    layout = _table if width >= NARROWEST_TABLE else _blocks
    return "\n".join([*layout(records, width), "", *textwrap.wrap(tally(records), width)])


def tally(records: Sequence[Record]) -> str:
    """How many claims there are of each verdict, e.g. "3 claims: 2 reproduced, 1 undecided"."""
    found = Counter(str(record["verdict"]) for record in records)
    forms = {NEEDS_LARGER_SCALE: "need a larger scale"}
    parts = [f"{found[word]} {forms.get(word, word) if found[word] != 1 else word}" for word in VERDICTS if found[word]]
    return f"{count(len(records), 'claim')}: {', '.join(parts)}"


def measured(record: Record) -> str:
    """Estimate, interval and number of seeds, e.g. "980 [810, 1.2e+03], 5 seeds"; "inf" is a size never reached."""
    value, low, high = (float(record[name]) for name in ("measured", "ci_low", "ci_high"))  # type: ignore[arg-type]
    if math.isnan(value):
        return "no value"
    interval = "" if math.isnan(low) else f" [{low:.3g}, {high:.3g}]"
    return f"{value:.3g}{interval}, {count(int(record['n_seeds']), 'seed')}"  # type: ignore[call-overload]


def _table(records: Sequence[Record], width: int) -> list[str]:
    narrow = {"verdict": 14, "expected": 16, "measured": 26}
    columns = {name: narrow.get(name, width - sum(narrow.values()) - 2 * (len(HEADINGS) - 1)) for name in HEADINGS}
    lines = [_row({name: [f"{name} [95 % interval]" if name == "measured" else name] for name in HEADINGS}, columns)]
    paper = None
    for record in records:
        if record["paper"] != paper:
            paper = record["paper"]
            lines += ["-" * width, f"{paper}, scale {record['scale']}", ""]
        cells = {
            "verdict": _word(record),
            "claim": f"{record['claim']} ({record['where']})\n{record['statement']}\n{record['reason']}.",
            "expected": _expected(record),
            "measured": measured(record),
        }
        wrapped = {name: _wrap(text, columns[name]) for name, text in cells.items()}
        lines += [_row(wrapped, columns), ""]
    return lines[:-1] + ["-" * width]


def _blocks(records: Sequence[Record], width: int) -> list[str]:
    lines: list[str] = []
    for record in records:
        lines += textwrap.wrap(
            f"{_word(record)}: {record['paper']} {record['claim']} ({record['where']})", width, break_on_hyphens=False
        )
        for text in (
            str(record["statement"]),
            f"expected: {_expected(record)}",
            f"measured: {measured(record)}",
            f"reason: {record['reason']}",
        ):
            lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
        lines.append("")
    return lines[:-1]


def _word(record: Record) -> str:
    word = str(record["verdict"])
    return word.upper() if word.startswith("not") else word


def _expected(record: Record) -> str:
    tolerance = float(record["tolerance"])  # type: ignore[arg-type]
    return f"{record['expected']}" + (f" (±{tolerance:g})" if tolerance else "")


def _wrap(text: str, width: int) -> list[str]:
    return [line for part in text.split("\n") for line in textwrap.wrap(part, width, break_on_hyphens=False)]


def _row(cells: Mapping[str, list[str]], columns: Mapping[str, int]) -> str:
    height = max(len(lines) for lines in cells.values())
    return "\n".join(
        "  ".join(
            (lines[number] if number < len(lines) else "").ljust(columns[name]) for name, lines in cells.items()
        ).rstrip()
        for number in range(height)
    )


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
