"""Figures as inline SVG by matplotlib: deterministic bytes, text kept as text."""

import hashlib
import io
import math
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from avsynth.reports.page.tables import EstimateCell, Table

INK, ACCENT, GREY, RULE = "#1c2530", "#0b5d8a", "#8a8f98", "#d9d5cc"
_MARKS = ("o", "s", "^", "D", "v", "P")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "avsynth",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG with its caption and its text alternative."""

    svg: str
    caption: str
    alt: str


def few_shot_figure(table: Table, published: pd.DataFrame, caption: str) -> Figure:
    """Draw M_J over the share of real data, with and without pre-training.

    Args:
        table: of `avsynth.reports.results.few_shot_table`.
        published: columns ``real_percent``, ``pretrained``, ``value`` (in %); may be empty.
        caption: below the figure.
    """
    curves = _curves(table)
    described = "; ".join(
        f"{model} {_with(pretrained)} pre-training: "
        + ", ".join(f"{cell.text} at {percent} %" for percent, cell in points)
        for (model, pretrained), points in curves.items()
    )
    svg = draw_svg(lambda axes: _draw_curves(axes, curves, published), 5.2, 4.4)
    return Figure(svg, caption, f"M_J by share of real data. {described}.")


Curves = dict[tuple[str, bool], list[tuple[int, EstimateCell]]]
"""Model and whether it was pre-trained -> share of real data in %, M_J."""


def _curves(table: Table) -> Curves:
    names = [column.name for column in table.columns]
    curves: Curves = {}
    for row in table.rows:
        percent = int(str(row[1]).split()[0])
        for pretrained, column in ((False, "m_j_without"), (True, "m_j_with")):
            cell = row[names.index(column)]
            if isinstance(cell, EstimateCell):
                curves.setdefault((str(row[0]), pretrained), []).append((percent, cell))
    return curves


def _draw_curves(axes: Any, curves: Curves, published: pd.DataFrame) -> None:
    models = list(dict.fromkeys(model for model, _ in curves))
    for (model, pretrained), points in curves.items():
        spread = [
            [100 * (cell.value - cell.low) for _, cell in points],
            [100 * (cell.high - cell.value) for _, cell in points],
        ]
        axes.errorbar(
            [_place(percent) for percent, _ in points], [100 * cell.value for _, cell in points],
            yerr=spread, marker=_MARKS[models.index(model) % len(_MARKS)], markersize=5,
            linewidth=1.8, capsize=2, elinewidth=1, color=ACCENT if pretrained else GREY,
            label=f"{model}, {_with(pretrained)}",
        )  # fmt: skip
    for pretrained in (False, True):
        dots = published[published["pretrained"] == pretrained]
        if len(dots):
            axes.plot(
                dots["real_percent"].map(_place), dots["value"], linestyle=":", linewidth=1.2,
                color=ACCENT if pretrained else GREY,
                label=f"SAMA-AVS as published, {_with(pretrained)}",
            )  # fmt: skip
    shown = sorted({percent for points in curves.values() for percent, _ in points})
    axes.set_xticks([_place(percent) for percent in shown], [f"{p} %" for p in shown])
    axes.set_xlabel("share of the real training data")
    axes.set_ylabel("M_J, %")
    axes.set_ylim(0, 100)
    axes.grid(axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)


def _with(pretrained: bool) -> str:
    return "with" if pretrained else "without"


def histogram_figure(
    values: dict[str, list[float]], label: str, caption: str, *, bins: int = 24
) -> Figure:
    """Draw one histogram per named group, stacked."""

    def draw(axes: Any) -> None:
        shades = [ACCENT, GREY, INK, "#c8b68a", "#7aa5bd", RULE]
        axes.hist(
            list(values.values()), bins=bins, stacked=True, label=list(values),
            color=[shades[i % len(shades)] for i in range(len(values))],
        )  # fmt: skip
        axes.set_xlabel(label)
        axes.set_ylabel("count")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        if len(values) > 1:
            axes.legend(frameon=False)

    series = pd.Series([value for group in values.values() for value in group])
    alt = f"Histogram of {label}: {len(series)} values, "
    alt += f"median {series.median():.3g}, from {series.min():.3g} to {series.max():.3g}"
    return Figure(draw_svg(draw, 5.2, 2.6), caption, alt)


def draw_svg(draw: Any, width_in: float, height_in: float) -> str:
    """Run a drawing function on fresh axes and return the bare ``<svg>`` element.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        from avsynth.runtime.errors import MissingExtra

        raise MissingExtra("matplotlib", "train") from None
    with rc_context(_STYLE):
        canvas = Canvas(figsize=(width_in, height_in), layout="constrained")
        draw(canvas.subplots())
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        canvas.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    return _own_ids(text[text.index("<svg") :].strip())


def _own_ids(svg: str) -> str:
    """Drop unused ids and make the others unique to this figure; colours stay.

    Otherwise a page of two figures would hold duplicate ids.
    """
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    used = set(re.findall(r"#([\w.-]+)", svg)) & set(re.findall(r' id="([^"]*)"', svg))
    kept = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    place = re.compile(r'( id="|#)(?=([\w.-]+))')
    return place.sub(lambda found: found[1] + (own if found[2] in used else ""), kept)


def _place(percent: float) -> float:
    """Return the place of a share on the axis: its square root spreads small shares apart."""
    return math.sqrt(percent)
