"""Tables on disk: checked, sorted, written atomically.

A table is a list of records of one dataclass. Parquet files are sorted by their key columns, so
that the same records give the same file in any order.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from avsynth.core.files import atomic_file
from avsynth.runtime.errors import DataError

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_CHUNK = 1_024
"""Records that are Python objects at once."""
_ROW_GROUP = 16_384


def schema_of(record: type) -> pa.Schema:
    """Derive the columns of a record type: its fields, in order."""
    return pa.schema([(name, _ARROW[hint]) for name, hint in get_type_hints(record).items()])


def write_table(path: Path, record: type, rows: Iterable[Any], key: Sequence[str]) -> None:
    """Write records to parquet or csv, sorted by ``key``.

    Rows are converted in chunks, so that a long table is never held as Python objects.

    Raises:
        DataError: two rows share a key.
    """
    schema = schema_of(record)
    names = schema.names
    batches = []
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        columns = [[getattr(row, name) for row in chunk] for name in names]
        batches.append(
            pa.RecordBatch.from_arrays(
                [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema=schema
            )
        )
    table = pa.Table.from_batches(batches, schema=schema)
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in key])
    _check_unique(path, table.select(list(key)).take(order), key)
    with atomic_file(path) as temporary, _writer(temporary, path.suffix, schema) as writer:
        # In parts: the sorted table is never in memory beside the other one.
        for start in range(0, len(table), _ROW_GROUP):
            writer.write_table(table.take(order.slice(start, _ROW_GROUP)))


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    if suffix == ".csv":
        return pa_csv.CSVWriter(path, schema)
    return pq.ParquetWriter(path, schema, compression="zstd")


def _check_unique(path: Path, table: pa.Table, key: Sequence[str]) -> None:
    if len(table) < 2:
        return
    same = np.ones(len(table) - 1, dtype=bool)
    for name in key:
        column = table[name]
        same &= pc.equal(column[1:], column[:-1]).to_numpy()
    if same.any():
        row = {name: table[name][int(same.argmax())].as_py() for name in key}
        raise DataError(str(path), "every key once", f"{row} twice", "Fix the source's ids.")


def read_table(
    path: Path,
    record: type,
    columns: Sequence[str] | None = None,
    category: str | None = None,
) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Args:
        path: a .parquet or .csv file.
        record: the dataclass that its rows are made of.
        columns: read only these.
        category: read only the rows of this one; quick when the table is sorted by category.

    Raises:
        DataError: the file is absent, damaged, or has other columns.
    """
    schema = schema_of(record)
    fix = "Run the stage that writes it again."
    try:
        if path.suffix == ".csv":
            options = pa_csv.ConvertOptions(column_types=schema, strings_can_be_null=False)
            table = pa_csv.read_csv(path, convert_options=options)
            names = table.schema.names
        else:
            wanted = None if category is None else [("category", "=", category)]
            names = pq.read_schema(path).names
            known = list(columns or names) if names == schema.names else []
            table = pq.read_table(path, columns=known, filters=wanted)
    except FileNotFoundError:
        raise DataError(str(path), "a table", "no such file", fix) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(str(path), "a readable table", str(error).splitlines()[0], fix) from None
    if names != schema.names:
        raise DataError(str(path), f"columns {schema.names}", f"columns {names}", fix)
    frame: pd.DataFrame = table.select(columns or schema.names).to_pandas()
    return frame


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as csv without an index, atomically."""
    with atomic_file(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
