"""Compare two scored runs on the same samples, in pairs, per category."""

from collections.abc import Iterator

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.metrics.bootstrap import compare as compare_rows
from avsynth.metrics.measures import LOCALISATION, MEASURES
from avsynth.reports.page.tables import Cell, Column, EstimateCell, Table, Unit
from avsynth.reports.read_scores import groups, read_scores
from avsynth.reports.score_cells import CLIPS_PER_BATCH, FEWEST_UNITS
from avsynth.runtime.errors import ConfigError, DataError, suggest
from avsynth.runtime.options import Runtime


def compare(
    a: str, b: str, params: Params, layout: Layout, runtime: Runtime, measure: str = "miou"
) -> list[Table]:
    """Compare run B with run A: a table per benchmark that both are scored on.

    Args:
        a: a file below reports/scores without its ending, e.g. ``zeroshot/save-s4``; the run's
            name is enough where only one stage has it.
        b: the same.
        params: for the bootstrap's draws and seed.
        layout: of the project.
        runtime: unused; all entry points have the same arguments.
        measure: a name of `avsynth.metrics.bootstrap.MEASURES`.

    Raises:
        ConfigError: no such run or measure.
        DataError: the runs share no benchmark, or differ in samples, version or protocol.
    """
    if measure not in MEASURES:
        raise ConfigError("compare", "a measure", repr(measure), suggest(measure, MEASURES))
    scores = read_scores(layout.scores, mix=True)
    rows = scores.localisation if measure in LOCALISATION else scores.rows
    parts_a, parts_b = _parts(rows, a, measure), _parts(rows, b, measure)
    shared = [name for name in parts_a if name in parts_b]
    if not shared:
        found = f"{', '.join(map(str, parts_a))} and {', '.join(map(str, parts_b))}"
        raise DataError(
            "compare", "a benchmark that both are scored on", found, "Choose other runs."
        )
    return [
        _table(name, (a, b), (parts_a[name], parts_b[name]), params, measure) for name in shared
    ]


def _parts(rows: pd.DataFrame, name: str, measure: str) -> dict[str, pd.DataFrame]:
    """Return a run's rows by benchmark."""
    every = rows["stage"] + "/" + rows["run"]
    chosen = rows[(every == name) | (rows["run"] == name)]
    known = sorted(set(every))
    if chosen.empty:
        wanted = f"a run of reports/scores that {measure} is a measure of"
        raise ConfigError("compare", wanted, repr(name), suggest(name, known))
    parts: dict[str, pd.DataFrame] = {}
    for run, group in groups(chosen):
        if run["benchmark"] in parts:
            likely = [one for one in known if one.endswith(f"/{name}")] or [name]
            raise ConfigError(
                f"compare {name}",
                "one scored run per benchmark",
                f"several on {run['benchmark']}",
                f"Name the stage too: {', '.join(likely)}.",
            )
        parts[run["benchmark"]] = group
    return parts


def _table(
    benchmark: str,
    names: tuple[str, str],
    rows: tuple[pd.DataFrame, pd.DataFrame],
    params: Params,
    measure: str,
) -> Table:
    a, b = rows
    version, protocol = a[["version", "protocol"]].iloc[0]
    lines = []
    for category, part_a, part_b in _categories(a, b):
        clips = CLIPS_PER_BATCH[protocol] if measure.startswith("meter_") else 1
        found = compare_rows(
            part_a, part_b, measure, draws=params.report.draws, seed=params.seed,
            clips_per_batch=clips,
        )  # fmt: skip
        unit: Unit = "percent" if "iou" in measure else "fraction"
        nan = float("nan")
        few = found.units < FEWEST_UNITS
        cells: tuple[Cell, ...] = (
            category,
            EstimateCell(found.a, nan, nan, unit),
            EstimateCell(found.b, nan, nan, unit),
            EstimateCell(found.difference, nan, nan, unit, signed=True),
            "–" if few else EstimateCell.difference(found, unit).interval,
            "–" if few else f"{found.p_value:.3f}",
            found.units,
        )  # fmt: skip
        lines.append(cells)
    return Table(
        f"compare-{benchmark}",
        f"{benchmark}, {measure}: A = {names[0]}, B = {names[1]}",
        (
            Column("category", "category"),
            Column("a", "A"),
            Column("b", "B"),
            Column("difference", "B − A"),
            Column("interval", "95 %"),
            Column("p", "p"),
            Column("units", "clips" if clips == 1 else "batches"),
        ),
        tuple(lines),
        f"version {version}, protocol {protocol}, {params.report.draws} paired resamplings; "
        f"no interval for fewer than {FEWEST_UNITS} clips",
    )


def _categories(
    a: pd.DataFrame, b: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield all rows, then those of every category."""
    yield "all", a, b
    names = sorted(a["category"].unique())
    for name in names if len(names) > 1 else []:
        yield name, a[a["category"] == name], b[b["category"] == name]
