"""The store without pandas: in a process of its own, as others here may have imported it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from tongchou.telemetry.store.embedded import Engine
if sys.argv[2] == "imported":
    import pandas
engine = Engine(Path(sys.argv[1]))
engine.execute("CREATE DATABASE d")
engine.execute("CREATE TABLE d.t (a Int64, b Array(String)) ENGINE = MergeTree ORDER BY a")
for part in range(3):
    rows = pa.table({"a": np.arange(3) + 3 * part, "b": pa.array([["x"], [], ["y", "z"]], pa.list_(pa.string()))})
    engine.insert("d.t (a, b)", "a, b", rows)
found = engine.fetch("SELECT a, b FROM d.t ORDER BY a")
assert found.column("a").to_pylist() == list(range(9))
assert found.column("b").to_pylist() == [["x"], [], ["y", "z"]] * 3
import tablib  # looks for pandas without importing it
assert ("pandas" in sys.modules) == (sys.argv[2] == "imported")
engine.close()
print("done")
"""


def run(folder: Path, pandas: str) -> str:
    arguments = [sys.executable, "-c", PROGRAM, str(folder), pandas]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_tables_are_written_and_read_without_pandas(tmp_path: Path) -> None:
    assert run(tmp_path, "left out") == "done\n"


def test_where_pandas_was_imported_before_it_is_left_alone(tmp_path: Path) -> None:
    assert run(tmp_path, "imported") == "done\n"
