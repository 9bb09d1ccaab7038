"""The telemetry tables as Parquet files and back, over any engine that reads and inserts columns.

A table is cut by the value of its key column into slices of bounded size; each row belongs to exactly one slice, so
merges and inserts that go on meanwhile lose and double nothing that was there at the start. Samples and lines come
first, ids last: an id that a sample needs is written before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tongchou.telemetry.store.tables import ROW_MASK, Engine

SLICE_BYTES = 64 * 1024 * 1024  # before compression
MAX_SLICE_ROWS = 1_000_000
_LAST = ("series_days", "series")
_TRANSIENT = {"feed"}  # a copy of the samples of the last hour
_SCALED = {"3": "Milli", "6": "Micro", "9": "Nano"}
_PLAIN = re.compile(r"^(U?Int(8|16|32|64)|Float(32|64)|String|Bool|Array\((LowCardinality\()?String\)*|UUID)$")


@dataclass(frozen=True, slots=True)
class Column:
    """How a column leaves the store and comes back: (name in the file, expression) pairs, and one expression."""

    out: tuple[tuple[str, str], ...]
    back: str


@dataclass(frozen=True, slots=True)
class Key:
    """An integer expression and the condition that it is in a closed interval."""

    expression: str
    between: str


def _fetch(engine: Engine, sql: str) -> pa.Table:
    return engine.fetch(sql, timeout_seconds=300.0, max_memory_bytes=4_000_000_000)


def _column(name: str, kind: str) -> Column:
    bare = kind.removeprefix("LowCardinality(").removesuffix(")") if kind.startswith("LowCardinality(") else kind
    if scaled := re.fullmatch(r"DateTime64\(([369])(?:, '[^']*')?\)", bare):
        unit = _SCALED[scaled.group(1)]
        return Column(((name, f"toUnixTimestamp64{unit}({name})"),), f"fromUnixTimestamp64{unit}({name})")
    if re.fullmatch(r"DateTime(\('[^']*'\))?", bare):
        return Column(((name, f"toUnixTimestamp({name})"),), f"toDateTime({name})")
    if bare == "Date":
        return Column(((name, f"toUInt16({name})"),), f"toDate({name})")
    if bare.startswith("Map("):
        keys, values = f"{name}__keys", f"{name}__values"
        return Column(
            ((keys, f"mapKeys({name})"), (values, f"mapValues({name})")),
            f"CAST(mapFromArrays({keys}, {values}), '{kind}')",
        )
    if _PLAIN.fullmatch(bare):
        return Column(((name, name),), name)
    raise ValueError(f"no way to export a column of type {kind}")


_KEYS = {
    "samples": Key(
        "toUnixTimestamp64Milli(ts)",
        "ts >= fromUnixTimestamp64Milli({low}) AND ts <= fromUnixTimestamp64Milli({high})",
    ),
    "logs": Key(
        "toUnixTimestamp64Nano(ts)", "ts >= fromUnixTimestamp64Nano({low}) AND ts <= fromUnixTimestamp64Nano({high})"
    ),
    "series_days": Key("toUInt16(day)", "day >= toDate({low}) AND day <= toDate({high})"),
    "series": Key(f"bitAnd(sid, {ROW_MASK})", f"bitAnd(sid, {ROW_MASK}) BETWEEN {{low}} AND {{high}}"),
}
_ANY = Key("toInt64(cityHash64(*) % 4096)", "cityHash64(*) % 4096 BETWEEN {low} AND {high}")


def table_names(engine: Engine, database: str) -> list[str]:
    """Return the tables that hold rows, in the order of their export."""
    found = engine.fetch(
        f"SELECT name FROM system.tables WHERE database = '{database}' AND engine LIKE '%MergeTree' ORDER BY name"  # noqa: S608  # our name
    )
    names = [_text(each) for each in found.column("name").to_pylist() if _text(each) not in _TRANSIENT]
    return [*(each for each in names if each not in _LAST), *(each for each in _LAST if each in names)]


def columns_of(engine: Engine, database: str, table: str) -> dict[str, Column]:
    """Return the columns that hold values (not computed ones)."""
    found = engine.fetch(
        f"SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{table}'"  # noqa: S608  # our names
        " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL') ORDER BY position"
    )
    return {_text(row["name"]): _column(_text(row["name"]), _text(row["type"])) for row in found.to_pylist()}


def export(engine: Engine, database: str, table: str, scratch: Path) -> Iterator[tuple[Path, int]]:
    """Yield (Parquet file, rows) for each slice; the file is the caller's until the next turn."""
    key, source = _KEYS.get(table, _ANY), f"{database}.{table}"
    columns = columns_of(engine, database, table)
    listed = ", ".join(f"{expression} AS {name}" for each in columns.values() for name, expression in each.out)
    row_bytes = _row_bytes(engine, database, table)
    most = max(1, min(MAX_SLICE_ROWS, int(SLICE_BYTES / row_bytes)))
    target = scratch / f"{table}.parquet"
    span = _fetch(engine, f"SELECT min({key.expression}) AS low, max({key.expression}) AS high FROM {source}")  # noqa: S608  # our names
    low, high = (int(span.column(name)[0].as_py() or 0) for name in ("low", "high"))
    for first, last in _slices(engine, source, key, low, high, most):
        condition = key.between.format(low=first, high=last)
        rows = _fetch(engine, f"SELECT {listed} FROM (SELECT * FROM {source} WHERE {condition})")  # noqa: S608  # our names and integers
        if rows.num_rows:
            pq.write_table(rows, target, compression="zstd")
            yield target, rows.num_rows
    target.unlink(missing_ok=True)


def _slices(engine: Engine, source: str, key: Key, low: int, high: int, most: int) -> Iterator[tuple[int, int]]:
    """Closed intervals of the key with at most `most` rows each, unless one value alone has more."""
    condition = key.between.format(low=low, high=high)
    rows = int(_fetch(engine, f"SELECT count() AS n FROM {source} WHERE {condition}").column("n")[0].as_py())  # noqa: S608  # our names and integers
    if not rows:
        return
    if rows <= most or low >= high:
        yield low, high
        return
    middle = (low + high) // 2
    yield from _slices(engine, source, key, low, middle, most)
    yield from _slices(engine, source, key, middle + 1, high, most)


def _row_bytes(engine: Engine, database: str, table: str) -> float:
    found = engine.fetch(
        "SELECT sum(data_uncompressed_bytes) AS bytes, sum(rows) AS rows FROM system.parts"  # noqa: S608  # our names
        f" WHERE active AND database = '{database}' AND table = '{table}'"
    )
    size, rows = (int(found.column(name)[0].as_py() or 0) for name in ("bytes", "rows"))
    return max(1.0, size / rows) if rows else 1.0


def load(engine: Engine, database: str, table: str, file: Path) -> int:
    """Insert one exported file; return its rows. Columns that the file lacks get their defaults."""
    rows = pq.read_table(file)
    columns = {
        name: each
        for name, each in columns_of(engine, database, table).items()
        if all(part in rows.column_names for part, _expression in each.out)
    }
    expressions = ", ".join(each.back for each in columns.values())
    engine.insert(f"{database}.{table} ({', '.join(columns)})", expressions, rows.combine_chunks())
    return int(rows.num_rows)


def count(engine: Engine, database: str, table: str) -> int:
    """Return the rows of a table."""
    found = _fetch(engine, f"SELECT count() AS n FROM {database}.{table}")  # noqa: S608  # our names
    return int(found.column("n")[0].as_py())


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
