"""Prometheus' own PromQL scripts, where they are at hand, and the runner itself."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.promqltest import run
from tests.conformance.promqltest.run import run_file
from tests.conformance.promqltest.script import duration_ms
from tongchou.telemetry.notation import HISTOGRAM, NotationError, points_of, series_of
from tongchou.telemetry.series import is_stale

HERE = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("TONGCHOU_PROMQLTEST", HERE.parent / "shared" / "data" / "promqltest"))


def run_script(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    path = tmp_path / "one.test"
    path.write_text(text, encoding="utf-8")
    return [(outcome.state, outcome.detail) for outcome in run_file(path).outcomes]


LOADED = 'load 1m\n  x{a="1"} 1+1x10\n  h{b="1"} {{schema:0 sum:1 count:1}}x3\n\n'


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the scripts of Prometheus are not in {FOLDER}")
def test_every_float_eval_the_parser_can_read_passes() -> None:
    reports = [run_file(path) for path in sorted(FOLDER.glob("*.test"))]
    failures = [
        f"{report.path}:{outcome.line}: {outcome.query}: {outcome.detail}"
        for report in reports
        for outcome in report.outcomes
        if outcome.state == "failed"
    ]
    assert not failures
    assert sum(report.count("passed") for report in reports) >= 800
    unsupported = Counter(
        f"{Path(report.path).name}: {outcome.query}"
        for report in reports
        for outcome in report.outcomes
        if outcome.state == "unsupported"
    )
    # What promql-parser cannot read: smoothed and anchored selectors, and arithmetic in durations.
    pinned = (HERE / "tests/conformance/promqltest/unsupported.txt").read_text(encoding="utf-8").splitlines()
    assert unsupported == Counter(line for line in pinned if line and not line.startswith("#"))


@pytest.mark.parametrize(
    "evaluation",
    [
        'eval instant at 2m x\n  x{a="1"} 4\n',
        "eval instant at 2m x\n",
        'eval instant at 2m x\n  x{a="2"} 3\n',
        'eval instant at 2m x\n  x{a="1"} 3\n  x{a="2"} 3\n',
        'eval instant at 2m x + 1\n  x{a="1"} 4\n',
        "eval_fail instant at 2m x\n",
        'eval instant at 2m x\n  expect warn\n  x{a="1"} 3\n',
        'eval instant at 2m rate(x[2m])\n  expect no_info\n  {a="1"} 0.0166666666\n',
        "eval instant at 2m quantile(2, x)\n  expect warn msg: another text\n  {} Inf\n",
        'eval range from 0 to 2m step 1m x\n  x{a="1"} 1 2\n',
        'eval range from 0 to 2m step 1m x\n  x{a="1"} 1 _ 3\n',
        "eval instant at 0 1\n  2\n",
        'eval instant at 0 "a"\n  expect string "b"\n',
        'eval instant at 0 label_replace(x, "", "", "", "")\n  expect fail msg: another text\n',
    ],
)
def test_an_expectation_that_is_not_met_fails(tmp_path: Path, evaluation: str) -> None:
    assert [state for state, _detail in run_script(tmp_path, LOADED + evaluation)] == ["failed"]


def test_expectations_that_are_met_pass(tmp_path: Path) -> None:
    outcomes = run_script(
        tmp_path,
        LOADED
        + 'eval instant at 2m x\n  expect no_warn\n  x{a="1"} 3\n\n'
        + 'eval range from 0 to 3m step 1m x\n  x{a="1"} 1+1x3\n\n'
        + "eval instant at 2m 1 + 1\n  2\n\n"
        + 'eval instant at 2m x[2m]\n  expect range vector from 1m to 2m step 1m\n  x{a="1"} 2 3\n\n'
        + "clear\neval instant at 2m x\n",
    )
    assert outcomes == [("passed", "")] * 5


def test_only_evals_that_read_native_histograms_are_left_out(tmp_path: Path) -> None:
    outcomes = run_script(
        tmp_path,
        LOADED
        + 'eval instant at 1m h\n  h{b="1"} {{schema:0 sum:1 count:1}}\n\n'
        + "eval instant at 1m count({__name__=~'.+'})\n  {} 2\n\n"
        + "eval instant at 1m count(x)\n  {} 1\n",
    )
    assert outcomes == [("passed", "")]


def test_what_the_parser_cannot_read_is_told_with_its_error(tmp_path: Path) -> None:
    ((state, detail),) = run_script(tmp_path, LOADED + 'eval instant at 1m rate(x[2m] smoothed)\n  {a="1"} 1\n')
    assert state == "unsupported"
    assert detail


def test_sequences_are_expanded_as_promqltest_writes_them() -> None:
    assert points_of("1 2+3x2 _ 4x1 -1-1x1 _x2") == [1.0, 2.0, 5.0, 8.0, None, 4.0, 4.0, -1.0, -2.0, None, None]
    assert points_of("1e3 .5 Inf 0x2") == [1000.0, 0.5, float("inf"), 0.0, 0.0, 0.0]
    stale, histogram = points_of("stale {{schema:0 sum:1}}+{{sum:1}}x1")[:2]
    assert is_stale(__import__("numpy").array([stale]))[0]
    assert histogram is HISTOGRAM
    with pytest.raises(NotationError):
        points_of("1+2")


def test_series_and_durations_are_read() -> None:
    assert series_of("x{a=\"}, b\", c='d'} 1 2") == ((("__name__", "x"), ("a", "}, b"), ("c", "d")), " 1 2")
    assert series_of('{"x.y", a="1"} 1')[0] == (("__name__", "x.y"), ("a", "1"))
    assert duration_ms("1h1m1s1ms") == 3_661_001


def test_a_block_that_cannot_be_read_fails_and_the_next_is_judged(tmp_path: Path) -> None:
    outcomes = run_script(
        tmp_path,
        LOADED
        + "eval instant at 2m x\n  what is this\n\neval instant at 2q x\n\nload 1q\n  y 1\n\nload 1m\n  z 1+2\n\nwonder\n\n"
        + 'eval instant at 2m x\n  expect string "\\q\n\neval instant at 2m x\n  x{a="1"} 3\n',
    )
    assert [state for state, _detail in outcomes] == ["failed"] * 6 + ["passed"]
    assert "1q" in outcomes[2][1]


def test_a_query_that_is_meant_to_be_refused_may_be_refused_by_the_parser(tmp_path: Path) -> None:
    outcomes = run_script(
        tmp_path,
        LOADED
        + "eval instant at 2m x +\n  expect fail\n\n"
        + "eval instant at 2m x +\n  expect fail regex: unexpected end of input\n\n"
        + "eval_fail instant at 2m sum(1)\n\n"
        + "eval instant at 2m x +\n  expect fail msg: another text\n",
    )
    assert [state for state, _detail in outcomes] == ["passed"] * 3 + ["unsupported"]


def test_a_mistake_of_the_engine_fails_the_eval_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise OverflowError("too much")

    monkeypatch.setattr(run, "range_", broken)
    outcomes = run_script(
        tmp_path, LOADED + "eval range from 0 to 1m step 1m x\n\neval instant at 2m x[1m]\n  expect fail\n"
    )
    assert outcomes[0] == ("failed", "OverflowError: too much")
    assert len(outcomes) == 2
