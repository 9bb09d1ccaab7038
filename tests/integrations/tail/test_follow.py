from __future__ import annotations

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.integrations.tail import follow
from tongchou.integrations.tail.follow import QUIET_NS, Follower
from tongchou.integrations.tail.run_time_settings import problem_of
from tongchou.telemetry.logs.log_store import Query
from tongchou.telemetry.store.log_tables import NS, Cost


class Killed(BaseException):
    """What kill -9 is to the code that runs."""


class Kept:
    """A store that drops a token it had, and may be killed before or after a write."""

    def __init__(self):
        self.tokens, self.lines, self.kill = set(), [], None

    def __call__(self, streams, token):
        if self.kill == "before":
            raise Killed
        if token not in self.tokens:
            self.tokens.add(token)
            self.lines += [entry.line.decode() for stream in streams for entry in stream.entries]
        if self.kill == "after":
            raise Killed


@pytest.fixture
def wanted(tmp_path):
    return [{"path": str(tmp_path / "app.log"), "labels": {"service": "shop"}}]


def append(path, *lines, end="\n"):
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


def test_whole_lines_once(tmp_path, wanted):
    path, kept = tmp_path / "app.log", Kept()
    follower = Follower(tmp_path / "positions.json", kept)
    assert follower.step(wanted) == 0
    append(path, "a", "b")
    append(path, "ha", end="")
    assert follower.step(wanted) == 2
    append(path, "lf\r", "", "订单")
    follower.step(wanted)
    assert kept.lines == ["a", "b", "half", "", "订单"]
    assert Follower(tmp_path / "positions.json", kept).step(wanted) == 0


def test_a_rotated_file_is_finished_before_its_successor(tmp_path, wanted):
    path, kept = tmp_path / "app.log", Kept()
    append(path, "a")
    Follower(tmp_path / "positions.json", kept).step(wanted)
    append(path, "b")
    path.rename(tmp_path / "app.log.1")
    append(path, "c")
    follower = Follower(tmp_path / "positions.json", kept)
    follower.step(wanted)
    (tmp_path / "app.log.1").unlink()
    append(path, "d")
    follower.step(wanted)
    assert kept.lines == ["a", "b", "c", "d"]


def test_a_file_truncated_in_place_is_read_from_its_beginning(tmp_path, wanted):
    path, kept = tmp_path / "app.log", Kept()
    follower = Follower(tmp_path / "positions.json", kept)
    append(path, "a long first line")
    follower.step(wanted)
    path.write_text("b\n")
    follower.step(wanted)
    path.write_text("quite another line, longer than what was there before\n")
    follower.step(wanted)
    assert kept.lines == ["a long first line", "b", "quite another line, longer than what was there before"]


def test_a_line_without_end_is_cut(tmp_path, wanted):
    path, kept = tmp_path / "app.log", Kept()
    append(path, "x" * 1_300_000, "y")
    Follower(tmp_path / "positions.json", kept).step(wanted)
    assert "".join(kept.lines) == "x" * 1_300_000 + "y"
    assert max(map(len, kept.lines)) <= 250_000


@pytest.mark.parametrize("seed", range(12))
def test_no_kill_loses_or_repeats_a_line(tmp_path, wanted, seed):
    path, kept, rng, sent, rotations = tmp_path / "app.log", Kept(), random.Random(seed), [], 0
    follower = Follower(tmp_path / "positions.json", kept)
    for turn in range(40):
        lines = [f"{turn}-{i}" for i in range(rng.randrange(4))]
        if lines:
            append(path, *lines)
        sent += lines
        kept.kill = rng.choice([None, None, "before", "after"])
        try:
            follower.step(wanted)
        except Killed:
            follower = Follower(tmp_path / "positions.json", kept)
        if rng.random() < 0.2 and path.exists():
            rotations += 1
            path.rename(tmp_path / f"app.log.{rotations}")
    kept.kill = None
    follower.step(wanted)
    assert kept.lines == sent


def test_lines_are_found_in_the_store_and_a_part_sent_twice_is_there_once(telemetry_db, tmp_path, wanted):
    path, store = tmp_path / "app.log", telemetry_db.logs
    append(path, "level=error one", "two")

    def write(streams, token):
        for _again in range(2):
            store.take(streams, token=token)[1].result(60)

    Follower(tmp_path / "positions.json", write).step(wanted)
    now = store.clock_ns()
    found = store.search(Query(now - 3600 * NS, now + NS), limit=10, cost=Cost()).lines
    assert [(line.body, line.level, line.resource) for line in found] == [
        ("two", "unknown", "shop"),
        ("level=error one", "error", "shop"),
    ]
    assert found[0].labels == {"filename": str(path), "service": "shop"}


class Clock:
    """The time in ns; a file is quiet when it is two seconds later than its last change."""

    def __init__(self):
        self.ahead = 0

    def __call__(self):
        return time.time_ns() + self.ahead


RECORDS = st.lists(
    st.tuples(st.text("ab", max_size=3), st.lists(st.sampled_from(["  at x", "", "Caused by: y"]), max_size=4)).map(
        lambda parts: "\n".join([f"2026-01-31 {parts[0]}", *parts[1]])
    ),
    min_size=1,
    max_size=12,
)


@given(RECORDS, st.lists(st.integers(1, 40), max_size=20), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_entry_of_many_lines_is_one_however_it_is_written_and_killed(tmp_path, records, cuts, seed):
    folder = tmp_path / str(time.monotonic_ns())
    folder.mkdir()
    path, kept, clock, rng = folder / "app.log", Kept(), Clock(), random.Random(seed)
    wanted = [{"path": str(path), "multiline_start": "[0-9]{4}-"}]
    text, at = "".join(f"{record}\n" for record in records), 0
    follower = Follower(folder / "positions.json", kept, clock_ns=clock)
    for cut in [*cuts, len(text)]:
        with path.open("a") as file:
            file.write(text[at : at + cut])
        at += cut
        kept.kill = rng.choice(["before", "after", None, None])
        try:
            follower.step(wanted)
        except Killed:
            follower = Follower(folder / "positions.json", kept, clock_ns=clock)
        kept.kill = None
    follower.step(wanted)
    assert kept.lines == records[:-1]  # the last one may go on
    clock.ahead = QUIET_NS
    follower.step(wanted)
    assert kept.lines == records


def test_an_entry_longer_than_a_part_goes_on_in_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "PART_BYTES", 64)
    path, kept = tmp_path / "app.log", Kept()
    wanted = [{"path": str(path), "multiline_start": "2026"}]
    append(path, "2026 a", *["  at x"] * 40, "2026 b", "2026 c")
    Follower(tmp_path / "positions.json", kept).step(wanted)
    assert "\n".join(kept.lines) == "\n".join(["2026 a", *["  at x"] * 40, "2026 b"])
    assert kept.lines[-1] == "2026 b"


def test_the_setting_is_checked():
    assert problem_of([{"path": "/x", "multiline_start": "^[0-9]{4}-"}]) is None
    for pattern in ("(", 5, "x" * 1001):
        assert problem_of([{"path": "/x", "multiline_start": pattern}])
    assert problem_of([{"path": "/var/log/*.log", "labels": {"a": "b"}}, {"path": "/x"}]) is None
    for bad in ([1], [{}], [{"path": "relative"}], [{"path": "/x", "labels": 1}], [{"path": "/x", "labels": {"a": 1}}]):
        assert problem_of(bad)
