"""Bar chart of the ratios: how many times longer each peer takes than we do, per case, with the goals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.cases import FASTEST
from harness.implementations import IMPLEMENTATIONS, OURS
from lazyrich.figures import style

# Okabe and Ito's palette, told apart by every kind of colour vision, with a hatch for print.
LOOKS = {
    "torch.func": ("#0072B2", ""),
    "nngeometry": ("#E69F00", ""),
    "neural-tangents structured": ("#009E73", ""),
    "neural-tangents Jacobian": ("#009E73", "////"),
    "neural-tangents NTK-vector": ("#009E73", "...."),
    "LAPACK": ("#999999", ""),
}
BAR_INCHES = 0.145
GAP_BARS = 1.0


def draw(results: dict[str, Any], path: Path) -> None:
    """Writes the chart as PNG."""
    cases = {name: case for name, case in results["cases"].items() if _bars(case)}
    count = sum(len(_bars(case)) + GAP_BARS for case in cases.values())
    with style.context():
        figure = Figure(figsize=(style.PAGE_WIDTH, 1.5 + BAR_INCHES * count), layout="constrained")
        axes = figure.add_subplot()
        _draw_bars(axes, cases)
        machine = results["machine"]
        axes.set_xlabel(
            f"time of the peer / time of lazyrich  ({machine['threads']} threads, medians of interleaved runs)"
        )
        _legend(figure, [name for name in LOOKS if any(name in dict(_bars(case)) for case in cases.values())])
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160)


def _bars(case: dict[str, Any]) -> list[tuple[str, float | str]]:
    """(peer, ratio) in the order of the implementations; in place of the ratio, the reason why a peer did not run."""
    found = {row["implementation"]: row.get("ratio") or _brief(f"{row['skipped']}") for row in case["rows"]}
    if isinstance(found.get(OURS, ""), str):
        return []
    return [(name, found[name]) for name in IMPLEMENTATIONS if name != OURS and name in found]


def _brief(reason: str) -> str:
    """The table has the whole of it."""
    return "out of memory" if "memory" in reason.lower() else reason


def _draw_bars(axes: Axes, cases: dict[str, Any]) -> None:
    ticks, place = [], 0.0
    ratios = [ratio for case in cases.values() for _, ratio in _bars(case) if not isinstance(ratio, str)]
    left, right = min(0.5, *(0.8 * r for r in ratios)), 3.0 * max(ratios)
    for name, case in cases.items():
        bars = _bars(case)
        for number, (peer, ratio) in enumerate(bars):
            y = place + number
            if isinstance(ratio, str):
                note = axes.text(1.03, y, ratio, va="center", fontsize=6, color=style.GREY, style="italic", zorder=5)
                note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.4})
                continue
            colour, hatch = LOOKS[peer]
            axes.barh(y, ratio - 1, left=1, height=0.85, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4)
            label = axes.text(
                max(ratio, 1) * 1.04, y, f"{ratio:.3g}", va="center", fontsize=6, color=style.GREY, zorder=5
            )
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.4})
        _mark_goals(axes, case, dict(bars), place)
        ticks.append((place + (len(bars) - 1) / 2, name))
        place += len(bars) + GAP_BARS
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_ylim(place - GAP_BARS, -1)
    axes.set_yticks(*zip(*ticks, strict=True))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _mark_goals(axes: Axes, case: dict[str, Any], bars: dict[str, float | str], place: float) -> None:
    """A line at each goal: across the peer that it names, or across all peers where it is about the fastest."""
    for goal in case["goals"]:
        positions = [number for number, name in enumerate(bars) if goal["against"] in (FASTEST, name)]
        if positions:
            low, high = place + positions[0] - 0.5, place + positions[-1] + 0.5
            axes.plot([goal["goal"]] * 2, [low, high], color="black", linewidth=1.4, solid_capstyle="butt")


def _legend(figure: Figure, peers: list[str]) -> None:
    handles: list[Any] = [
        Patch(facecolor=LOOKS[peer][0], hatch=LOOKS[peer][1], edgecolor="white", label=peer) for peer in peers
    ]
    handles.append(Line2D([], [], color="black", linewidth=1.4, label="goal: for the fastest peer, or the one crossed"))
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
