"""Sentences of the ledger page: they name both ends of a relation, and the source an event is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils import translation

from tongchou.incidents import timeline
from tongchou.web.verbs import spoken


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
