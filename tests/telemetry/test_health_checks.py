"""The telemetry store under `tongchou doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tongchou.core.checks import Surroundings
from tongchou.telemetry import backend, health_checks
from tongchou.telemetry.backend import Telemetry

IN_SERVER = Surroundings(in_server=True, running=True)


def test_an_open_store_answers_and_a_closed_one_fails(telemetry_db: Telemetry) -> None:
    assert health_checks.store(IN_SERVER).status == "ok"
    before = backend.use(None)
    try:
        assert health_checks.store(IN_SERVER).status == "fail"
    finally:
        backend.use(before)


def test_series_that_nearly_fill_their_limit(telemetry_db: Telemetry, settings: Any) -> None:
    telemetry_db.row((("__name__", "up"),))
    settings.TELEMETRY_MAX_SERIES = 1
    assert "TONGCHOU_TELEMETRY_MAX_SERIES" in str(health_checks.store(IN_SERVER).remedy)


def test_beside_a_running_server_its_own_word_counts() -> None:
    sound = Surroundings(in_server=False, running=True, answers={"failing": {}})
    broken = Surroundings(in_server=False, running=True, answers={"failing": {"telemetry": "telemetry.store_failed"}})
    silent = Surroundings(in_server=False, running=True, answers=None)
    assert [health_checks.store(each).status for each in (sound, broken, silent)] == ["ok", "fail", "warn"]


def test_a_folder_nothing_was_written_to_is_left_alone(tmp_path: Path, settings: Any) -> None:
    settings.TELEMETRY_PATH = tmp_path / "telemetry"
    assert health_checks.store(Surroundings(in_server=False, running=False)).status == "skip"
    assert not (tmp_path / "telemetry").exists()


def test_another_release_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health_checks.engine(IN_SERVER).status == "ok"
    monkeypatch.setattr(health_checks, "version", lambda name: "3.0.0")
    assert health_checks.engine(IN_SERVER).status == "warn"
