from __future__ import annotations

import random

import pytest

from tongchou.integrations.tail.follow import Follower
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


def test_the_setting_is_checked():
    assert problem_of([{"path": "/var/log/*.log", "labels": {"a": "b"}}, {"path": "/x"}]) is None
    for bad in ([1], [{}], [{"path": "relative"}], [{"path": "/x", "labels": 1}], [{"path": "/x", "labels": {"a": 1}}]):
        assert problem_of(bad)
