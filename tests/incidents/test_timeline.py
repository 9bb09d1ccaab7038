"""Timeline entries: every known verb reads well, and no payload can break a page."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents.timeline import LINES, entry

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@dataclass
class Happened:
    """A ledger event, as far as a timeline sees it."""

    verb: str
    payload: Any = field(default_factory=dict)
    subject: str = "incidents.incident:1"
    pk: int = 7
    actor_name: str = "ops"
    at: datetime = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@given(st.sampled_from(sorted(LINES)) | st.text(max_size=30), json_values, st.text(max_size=30))
def test_any_payload_gives_an_entry(verb: str, payload: Any, subject: str) -> None:
    made = entry(Happened(verb, payload, subject))
    assert (made.event_id, made.verb, made.actor, made.ref) == (7, verb, "ops", subject)


@pytest.mark.parametrize("verb", sorted(LINES))
def test_a_known_verb_without_facts_is_still_a_sentence(verb: str) -> None:
    text = entry(Happened(verb)).text
    assert text
    assert "%(" not in text


def test_facts_of_the_payload_stand_in_the_sentence() -> None:
    made = entry(Happened("deployment.finished", {"title": "orders 1 → 2", "status": "succeeded"}))
    assert "orders 1 → 2" in made.text
    assert (made.kind, made.icon) == ("change", "rocket")


def test_an_alert_without_a_summary_says_where_it_is() -> None:
    facts = {"alertname": "TargetDown", "summary": "", "labels": {"job": "database", "instance": "db:1"}}
    text = entry(Happened("alert.fired", facts)).text
    assert "TargetDown" in text
    assert "db:1" in text
    assert "gone" in entry(Happened("alert.fired", {**facts, "summary": "it is gone"})).text


def test_what_changed_is_named() -> None:
    text = entry(Happened("resource.changed", {"name": "orders-1", "changes": {"version": ["1", "2"]}})).text
    assert "orders-1" in text
    assert "version" in text


def test_facts_from_outside_win_over_the_payload() -> None:
    made = entry(
        Happened("incident.group_attached", {"title": "x", "reason": {"code": "needs"}}), facts={"reason": "because"}
    )
    assert made.text.endswith("because")


def test_a_note_is_shown_as_it_was_written_even_with_percent_signs() -> None:
    assert entry(Happened("incident.noted", {"text": "at 50 % and %(name)s"})).text == "at 50 % and %(name)s"


def test_a_verb_of_a_later_release_is_shown_as_it_is() -> None:
    made = entry(Happened("gate.100%_blocked", {}, "changes.gate:1"))
    assert (made.text, made.kind) == ("gate.100%_blocked", "change")


def test_an_asked_approval_names_the_procedure_and_where() -> None:
    scope = {"procedure": "restart-service", "targets": ["orders-db-1"], "version": 2}
    text = entry(Happened("approval.requested", {"scope": scope, "reason": "the pool is full"})).text
    assert "restart-service" in text
    assert "orders-db-1" in text
    assert "the pool is full" in text
    bare = entry(Happened("approval.requested", {"scope": {**scope, "targets": []}, "reason": ""})).text
    assert "restart-service" in bare
    assert " on " not in bare
