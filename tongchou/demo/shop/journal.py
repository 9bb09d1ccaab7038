"""The replicated log of one database process, in SQLite: what a crash must not take away.

Entries are numbered 1, 2, 3...; each carries the epoch of the primary that first wrote it. A commit is on disk
(`synchronous=FULL`) before `append` returns. Everything else a database process knows it can learn again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
                                body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One write: `id` is unique over the whole log and makes a repeated write harmless."""

    position: int
    epoch: int
    id: str
    body: str


class Journal:
    """Opens or creates the log at `path`."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        row = self._db.execute("SELECT position, epoch FROM log ORDER BY position DESC LIMIT 1").fetchone()
        self.last_position: int = row[0] if row else 0
        self.last_epoch: int = row[1] if row else 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries that follow the last position, all or none, durably."""
        if not entries:
            return
        if entries[0].position != self.last_position + 1:
            raise ValueError(f"entry {entries[0].position} does not follow {self.last_position}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            rows = [(entry.position, entry.epoch, entry.id, entry.body) for entry in entries]
            self._db.executemany("INSERT INTO log (position, epoch, id, body) VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.last_position, self.last_epoch = entries[-1].position, entries[-1].epoch

    def truncate_from(self, position: int) -> int:
        """Remove `position` and everything after it; returns how many entries went."""
        removed = self._db.execute("DELETE FROM log WHERE position >= ?", (position,)).rowcount
        row = self._db.execute("SELECT position, epoch FROM log ORDER BY position DESC LIMIT 1").fetchone()
        self.last_position, self.last_epoch = (row[0], row[1]) if row else (0, 0)
        return int(removed)

    def epoch_at(self, position: int) -> int | None:
        """Epoch of the entry at `position`; 0 before the first one; None beyond the end."""
        if position == 0:
            return 0
        row = self._db.execute("SELECT epoch FROM log WHERE position = ?", (position,)).fetchone()
        return int(row[0]) if row else None

    def position_of(self, entry_id: str) -> int | None:
        """Where the write with this id stands, None when there is none."""
        row = self._db.execute("SELECT position FROM log WHERE id = ?", (entry_id,)).fetchone()
        return int(row[0]) if row else None

    def read(self, first: int, limit: int) -> list[Entry]:
        """Up to `limit` entries from position `first` on."""
        rows = self._db.execute(
            "SELECT position, epoch, id, body FROM log WHERE position >= ? ORDER BY position LIMIT ?", (first, limit)
        )
        return [Entry(*row) for row in rows]

    def ids(self, after: int, limit: int) -> list[tuple[int, str]]:
        """(position, id) of entries after `after`, for the comparison at the end of a scenario."""
        rows = self._db.execute(
            "SELECT position, id FROM log WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
        )
        return [(int(position), str(entry_id)) for position, entry_id in rows]

    def fact(self, name: str, default: str = "") -> str:
        """A small durable fact about this process, such as its role."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def set_fact(self, name: str, value: str) -> None:
        """Store a fact durably."""
        self._db.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                         (name, value))  # fmt: skip

    def close(self) -> None:
        """Close the file; a crash instead of a close loses nothing."""
        self._db.close()
