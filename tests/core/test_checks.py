"""The register of checks: order, exit codes, a check that breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError

from tongchou.core import checks
from tongchou.core.checks import Surroundings
from tongchou.core.problems import Unavailable

HERE = Surroundings(in_server=False, running=False)


@pytest.fixture
def register() -> Iterator[None]:
    """Forget what a test registers."""
    before = dict(checks._checks)
    checks._checks.clear()
    yield
    checks._checks.clear()
    checks._checks.update(before)


def test_worst_first_and_the_exit_code_is_the_worst(register: None) -> None:
    checks.check("a", "A")(lambda where: checks.ok("fine"))
    checks.check("b", "B")(lambda where: checks.warn("soon", "do it"))
    assert checks.EXIT_CODES[checks.worst(checks.run(HERE))] == 1
    checks.check("c", "C")(lambda where: checks.fail("broken", "repair it"))
    checks.check("d", "D")(lambda where: checks.skip("nothing here"))
    found = checks.run(HERE)
    assert [each.name for each in found] == ["c", "b", "a", "d"]
    assert checks.EXIT_CODES[checks.worst(found)] == 2
    assert checks.report(found)["counts"] == {"fail": 1, "warn": 1, "ok": 1, "skip": 1}
    assert checks.EXIT_CODES[checks.worst([])] == 0


def test_a_check_that_breaks_does_not_stop_the_others(register: None) -> None:
    def broken(where: Surroundings) -> checks.Finding:
        raise OSError("no such disk")

    def refused(where: Surroundings) -> checks.Finding:
        raise Unavailable("x.y", "not now", remedy="wait")

    def unasked(where: Surroundings) -> checks.Finding:
        raise DatabaseError("no such table with secret words")

    for name, look in (("a", broken), ("b", refused), ("c", unasked)):
        checks.check(name, name)(look)
    checks.check("z", "Z")(lambda where: checks.ok("fine"))
    found = {each.name: each.finding for each in checks.run(HERE)}
    assert {name: each.status for name, each in found.items()} == {"a": "fail", "b": "fail", "c": "warn", "z": "ok"}
    assert "no such disk" in str(found["a"].detail)
    assert str(found["b"].remedy) == "wait"
    assert "secret words" not in str(found["c"].detail)
    assert all(each.remedy for name, each in found.items() if name != "z")


def test_without_a_database_its_checks_are_left_out(register: None) -> None:
    def asked(where: Surroundings) -> checks.Finding:
        raise AssertionError("asked")

    checks.check("a", "A", needs_database=True)(asked)
    found = checks.run(Surroundings(in_server=False, running=False, has_database=False))
    assert [each.finding.status for each in found] == ["skip"]


def test_every_room_has_added_its_checks() -> None:
    assert {"data.keys", "database.reachable", "telemetry.store", "alerting.channels", "host.clock", "address"} <= set(
        checks.names()
    )
