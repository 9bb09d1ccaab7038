"""The runner of the log pattern miner: its measures by hand, and a small system it must get right."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conformance.logpatterns.__main__ import main
from tests.conformance.logpatterns.measure import accuracy


def test_measures_by_hand() -> None:
    # lines 0-1 grouped right; 2-3 torn apart; 4 alone and right
    found = accuracy([1, 1, 2, 3, 4], ["a <*>", "a <*>", "b", "b", "c"], "AABBC", ["a <*>", "a <*>", "b", "b", "d"])
    assert (found.ga, found.pa) == (pytest.approx(3 / 5), pytest.approx(4 / 5))
    assert found.fga == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))


def test_a_small_system_is_grouped_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "Shop_2k.log_structured.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["LineId", "Content", "EventId", "EventTemplate"])
        for number in range(50):
            writer.writerow([2 * number, f"order {number} stored in {number} ms", "E1", "order <*> stored in <*> ms"])
            writer.writerow([2 * number + 1, "cache is cold", "E2", "cache is cold"])
    assert main([str(tmp_path)]) == 0
    assert "Shop         GA 1.000  PA 1.000  FGA 1.000  groups    2 of    2" in capsys.readouterr().out


def test_a_folder_without_logs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "log_structured.csv" in capsys.readouterr().err
