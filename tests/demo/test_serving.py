"""The platform under the demo: what it prints where."""

from __future__ import annotations

from pathlib import Path

from tongchou.demo.serving import Serving


def test_requests_are_not_told_on_the_terminal_unless_asked_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("TONGCHOU_LOG_LEVELS", raising=False)
    told = Serving(tmp_path, 8420, tmp_path / "token", None)._environment
    assert told["TONGCHOU_LOG_LEVELS"] == "tongchou.access=WARNING"
    assert "TONGCHOU_LOG_LEVELS" not in Serving(tmp_path, 8420, tmp_path / "token", tmp_path / "log")._environment
    monkeypatch.setenv("TONGCHOU_LOG_LEVELS", "tongchou.access=INFO")
    assert (
        Serving(tmp_path, 8420, tmp_path / "token", None)._environment["TONGCHOU_LOG_LEVELS"] == "tongchou.access=INFO"
    )
