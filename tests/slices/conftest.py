"""A platform that a slice may kill, stop and start again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server on a fresh data folder; the test may leave it stopped."""
    one = Served(tmp_path / "data")
    yield one.start()
    if one.process is not None and one.process.poll() is None:
        one.stop()
