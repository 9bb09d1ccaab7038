"""Sentences of the ledger page: they name both ends of a relation, and the source an event is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from tongchou.incidents import timeline
from tongchou.web.verbs import spoken
from tongchou.web.verbs_releases import RELEASES


@dataclass
class Happened:
    """A ledger event, as far as a sentence needs it."""

    verb: str
    payload: Any = field(default_factory=dict)
    subject: str = "inventory.resource:1"
    pk: int = 7
    actor_name: str = "ops"
    at: datetime = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def text_of(verb: str, payload: Any, language: str = "en") -> str:
    with translation.override(language):
        return spoken(timeline.entry(Happened(verb, payload)), payload).text


def test_a_relation_names_both_ends() -> None:
    payload = {"type": "runs_on", "from": "orders", "to": "host-1", "source": "local"}
    assert text_of("relation.added", payload) == "orders now runs on host-1."
    assert text_of("relation.removed", payload) == "orders no longer runs on host-1."
    chinese = text_of("relation.added", payload, "zh-hans")
    assert "orders" in chinese
    assert "host-1" in chinese
    assert "runs" not in chinese


def test_a_relation_without_its_ends_is_still_a_sentence() -> None:
    assert text_of("relation.added", {"type": "runs_on", "from": None, "to": "host-1"}) == "A relation was added."
    assert text_of("relation.added", {"type": ["odd"], "from": "a", "to": "b"}).startswith("a now")


def test_a_source_is_named() -> None:
    assert "shop-discovery" in text_of("source.synced", {"name": "shop-discovery", "created": 2})
    assert "shop-discovery" in text_of("source.failed", {"name": "shop-discovery", "error": "refused"})


@pytest.mark.parametrize("verb", RELEASES)
def test_every_verb_of_releases_reads_in_both_languages_with_facts_and_without(verb: str) -> None:
    why = {"code": "check_no", "params": {"name": "errors", "shown": "7", "is": "< 1"}}
    facts = {
        "name": "REL-7", "title": "shop 2.0", "environment": "production", "service": "shop", "version": "2.0",
        "batch": 3, "why": why, "how": "rejected", "reason": "it loses baskets", "procedure": "deploy", "by": "ops",
        "decided_by": "ops",
    }  # fmt: skip
    told, bare = text_of(verb, facts), text_of(verb, {})
    assert "%(" not in told + bare
    assert told != bare or verb == "environment.changed"
    for text in (text_of(verb, facts, "zh-hans"), text_of(verb, {}, "zh-hans")):
        assert any("一" <= letter <= "鿿" for letter in text), text


def test_a_release_says_why_it_goes_back() -> None:
    why = {"code": "check_no", "params": {"name": "errors", "shown": "7", "is": "< 1"}}
    text = text_of("release.rolling_back", {"name": "REL-7", "why": why})
    assert text == "REL-7 goes back. The check errors says no: 7, wanted is < 1."


def test_a_hold_of_a_window_is_told_as_what_it_is() -> None:
    payload = {"kind": "quiet", "name": "web-1", "reason": "CHG-1 New kernel"}
    assert text_of("hold.placed", payload) == "Alerts of web-1 do not page: CHG-1 New kernel"
    assert "冻结" not in text_of("hold.placed", payload, "zh-hans")
    assert text_of("hold.lifted", {**payload, "kind": "deployment"}) == "The hold on web-1 was lifted."
