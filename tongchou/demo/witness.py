"""The witness of the database pair: one small durable record that changes only by compare-and-set."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Witness:
    """Keeps {version, epoch, primary, in_sync} in a file; on disk before `swap` returns."""

    def __init__(self, path: Path, primary: str, in_sync: list[str]) -> None:
        self._path = path
        if path.exists():
            self.record: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        else:
            self.record = {"version": 1, "epoch": 1, "primary": primary, "in_sync": sorted(in_sync)}
            self._store()

    def swap(self, expect: int, epoch: int, primary: str, in_sync: list[str]) -> bool:
        """Replace the record if its version is `expect`. An epoch never goes back."""
        if self.record["version"] != expect or epoch < int(str(self.record["epoch"])):
            return False
        self.record = {"version": expect + 1, "epoch": epoch, "primary": primary, "in_sync": sorted(in_sync)}
        self._store()
        return True

    def _store(self) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self.record, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
