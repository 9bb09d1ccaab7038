"""The database every run of the tests begins with."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests import prepared


def test_a_log_that_a_former_run_left_is_not_played_into_the_next_database(tmp_path: Path) -> None:
    path = tmp_path / "test.sqlite3"
    with closing(sqlite3.connect(tmp_path / "former.sqlite3")) as former:
        former.execute("PRAGMA journal_mode=WAL")
        former.execute("CREATE TABLE other (words TEXT)")
        former.executemany("INSERT INTO other VALUES (?)", [("x" * 3000,)] * 400)
        former.commit()
        # as it was when the process ended, its connection open
        shutil.copyfile(tmp_path / "former.sqlite3-wal", tmp_path / "test.sqlite3-wal")

    prepared.copy_to(path)

    with closing(sqlite3.connect(path)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "core_user" in tables
    assert "other" not in tables
