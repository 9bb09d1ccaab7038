"""Runs of scenarios in one table, and faults injected into a demo that runs."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from tongchou.cli.demo import SCENARIOS
from tongchou.demo import telling
from tongchou.demo.control import Shop
from tongchou.demo.faults import FAULTS
from tongchou.demo.result import Result
from tongchou.demo.scenario import Say
from tongchou.demo.supervisor import Options
from tongchou.demo.telling import ALL, PAIR, Wish, break_running, overview, tell

RAN = Result(
    scenario="disk-fill", detected_seconds=9.5, recovered_seconds=31.0, true_cause_rank=2, orders_lost=0,
    revenue_lost_cny={"value": 1234.5, "low": -10.0, "high": 2000.0}, notices_sent=7, notices_alertmanager=10,
    baseline_ranks={"disk-fill": {"latest_change": None, "largest_z": 4}},
    notices_by_status={"platform": {"firing": 4, "resolved": 3}, "alertmanager": {"firing": 6, "resolved": 4}}, ok=True,
)  # fmt: skip


def shown(*results: Result) -> str:
    console = Console(file=io.StringIO(), width=240)
    console.print(overview(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_what_was_measured_and_what_was_not() -> None:
    cells = [cell.strip() for cell in shown(RAN).splitlines()[-2].strip("│").split("│")]
    assert cells == [
        "disk-fill", "9.5", "31.0", "2", "-", "4", "7 (4+3)", "10 (6+4)", "1,234 (-10 to 2,000)", "0", "yes",
    ]  # fmt: skip
    broken = [cell.strip() for cell in shown(Result("a+b")).splitlines()[-2].strip("│").split("│")]
    assert broken == ["a+b", "None", "None", "-", "-", "-", "-", "-", "-", "None", "NO"]


def test_ranks_of_two_faults_stand_beside_one_another() -> None:
    pair = Result(PAIR, true_cause_rank={"slow-dependency": 1, "memory-leak": None})
    assert "│ 1, -" in shown(pair)


def test_all_means_each_fault_and_the_pair_and_the_help_names_them() -> None:
    assert set(ALL) == {*FAULTS, PAIR}
    assert tuple(SCENARIOS.split(", ")) == tuple(FAULTS)


def test_all_scenarios_are_played_as_often_as_wished_and_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played: list[tuple[str, int]] = []

    def play(name: str, *, seed: int, folder: Path | None, say: Say, beside: bool) -> tuple[Result, Path]:
        played.append((name, seed))
        where = tmp_path / f"{name}-{seed}"
        where.mkdir()
        return Result(name, ok=seed != 6), where

    monkeypatch.setattr(telling, "play", play)
    out = tmp_path / "runs.json"
    assert not tell(Wish("all", seed=5, repeat=2, as_json=True, json_out=out))
    assert played == [(name, seed) for seed in (5, 6) for name in ALL]
    assert [(each["scenario"], each["ok"]) for each in json.loads(out.read_text())] == [
        (name, seed == 5) for name, seed in played
    ]
    assert len(capsys.readouterr().out.splitlines()) == len(played)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(f"{name}-6" for name in ALL)


def test_nothing_is_broken_where_no_demo_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not break_running("disk-fill", tmp_path)
    assert "no demo runs" in capsys.readouterr().out
    assert not break_running("meteorite", tmp_path)
    assert "Known: primary-down" in capsys.readouterr().out


@pytest.mark.slice
@pytest.mark.timeout(120)
def test_a_fault_is_injected_into_the_demo_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(visits_per_second=15.0, day_seconds=3600.0, noon=time.time(), seed=3)
    with Shop(tmp_path / "demo-shop", options) as shop:
        shop.wait_open()
        assert break_running("memory-leak+traffic-surge", tmp_path)
        assert "load-balancer-1, storefront-2" in capsys.readouterr().out
        address = shop.address("customers-1")
        metrics = httpx.get(f"http://{address}/metrics", trust_env=False).text
        target = next(line for line in metrics.splitlines() if line.startswith("shop_load_target_visits_per_second"))
        assert float(target.split()[1]) > 15 * 3
        shop.read(shop.facts["supervisor"], "/processes")  # it still runs
