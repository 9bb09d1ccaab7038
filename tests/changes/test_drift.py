"""How a difference goes on: opens after N looks, keeps a decision while the same is seen, goes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes import drift
from tongchou.changes.drift import Found, Item, Look

START = datetime(2026, 3, 2, tzinfo=UTC)


def at(minute: int, needed: int = 3, tolerance: int = 0) -> Look:
    return Look(START + timedelta(minutes=minute), needed, timedelta(minutes=tolerance))


def file(observed: str = "b") -> Found:
    return Found("web-1", "/etc/motd", "a", observed)


def test_it_opens_with_the_third_look_in_a_row() -> None:
    item = drift.seen(None, file(), at(0))
    assert (item.state, item.consecutive) == ("watched", 1)
    item = drift.seen(item, file(), at(1))
    assert item.state == "watched"
    item = drift.seen(item, file(), at(2))
    assert (item.state, item.consecutive, item.first_seen) == ("open", 3, START)


def test_a_look_between_that_did_not_see_it_begins_the_count_anew() -> None:
    item = drift.missed(drift.seen(drift.seen(None, file(), at(0)), file(), at(1)))
    assert item.state == "cleared"
    again = drift.seen(item, file(), at(9))
    assert (again.state, again.consecutive, again.returned, again.first_seen) == ("watched", 1, 1, at(9).at)


def test_what_is_tolerated_for_a_time_opens_only_after_it() -> None:
    item = drift.seen(None, file(), at(0, 1, 30))
    assert item.state == "watched"
    assert drift.seen(item, file(), at(29, 1, 30)).state == "watched"
    assert drift.seen(item, file(), at(30, 1, 30)).state == "open"


def opened(needed: int = 1) -> Item:
    return drift.seen(None, file(), at(0, needed))


def decided(state: drift.State, until: datetime | None = None) -> Item:
    return Item(state, 1, 0, START, START, "a", "b", until)


def test_a_decision_holds_until_something_else_is_seen() -> None:
    for state in drift.DECIDED:
        item = decided(state)
        assert drift.seen(item, file(), at(5, 1)).state == state
        assert drift.seen(item, file("c"), at(5, 1)).state == "open"


def test_what_is_ignored_until_a_day_is_open_after_it() -> None:
    item = decided("ignored", START + timedelta(minutes=10))
    assert drift.seen(item, file(), at(9, 1)).state == "ignored"
    assert drift.seen(item, file(), at(10, 1)).state == "open"


def test_a_change_explains_it_only_while_it_lasts() -> None:
    item = drift.seen(opened(), file(), at(1, 1), change="changes.change:1")
    assert (item.state, item.change) == ("with_change", "changes.change:1")
    item = drift.seen(item, file(), at(2, 1))
    assert (item.state, item.change) == ("open", "")


def test_a_rule_ignores_and_its_end_opens_again() -> None:
    item = drift.seen(opened(), file(), at(1, 1), rule=7)
    assert (item.state, item.by_rule) == ("ignored", 7)
    assert drift.seen(item, file(), at(2, 1)).state == "open"


@dataclass
class Rule:
    """A rule of a test."""

    resource: str = ""
    path: str = ""
    source_kind: str = ""
    source_ref: str = ""
    until: datetime | None = None


def test_a_rule_fits_by_patterns_source_and_time() -> None:
    def fits(rule: Rule) -> bool:
        names = ["web-1", "web-1.lan"]
        return drift.fitting(
            [rule], kind="playbook", source_ref="changes.playbook:1", names=names, path="/etc/motd", at=START
        ) is not None  # fmt: skip

    assert fits(Rule(resource="web-*"))
    assert fits(Rule(path="/etc/*"))
    assert fits(Rule(resource="*.lan", path="/etc/motd", source_kind="playbook"))
    assert fits(Rule(path="/etc/*", until=START + timedelta(seconds=1)))
    assert not fits(Rule(path="/etc/*", until=START))
    assert not fits(Rule(resource="db-*"))
    assert not fits(Rule(path="/etc/*", source_kind="iac"))
    assert not fits(Rule(path="/etc/*", source_ref="changes.playbook:2"))


LOOKS = st.lists(st.sampled_from(["a", "b", "-"]), max_size=30)


@settings(max_examples=60)
@given(LOOKS, st.integers(1, 4))
def test_it_is_open_exactly_when_the_last_n_looks_saw_something(looks: list[str], needed: int) -> None:
    item: Item | None = None
    for minute, look in enumerate(looks):
        if look != "-":
            item = drift.seen(item, file(look), at(minute, needed))
        elif item is not None:
            item = drift.missed(item)
    tail = looks[-needed:]
    is_open = item is not None and item.state == "open"
    assert is_open == (len(tail) == needed and "-" not in tail)
    runs = sum(1 for before, now in zip(["-", *looks], looks, strict=False) if before == "-" and now != "-")
    assert (0 if item is None else item.returned + 1) == runs
