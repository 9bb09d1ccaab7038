"""The attributes of one resource, each with how fresh the word that counts is, and what others say instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tongchou.inventory.freshness import Freshness, freshness
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.reads import AttributeView, Detail, Said
from tongchou.inventory.sources import waits
from tongchou.inventory.truth import settings_of_now


@dataclass(frozen=True, slots=True)
class OtherWord:
    """What another source says, where it differs."""

    said: Said
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class AttributeWord:
    """An attribute as it counts, and how fresh that is."""

    view: AttributeView
    freshness: Freshness
    others: tuple[OtherWord, ...]


def words_of(detail: Detail, now: datetime) -> list[AttributeWord]:
    """Return the attributes of a resource by name. Two queries, however many there are."""
    limits = settings_of_now().limits
    configured = SourceConfig.objects.only("name", "kind", "settings", "interval_seconds")
    every = {row.name: None if waits(row) else row.interval_seconds for row in configured}

    def how(name: str, word: AttributeView | Said) -> Freshness:
        return freshness(name, word, now=now, limits=limits, interval_seconds=every)

    return [
        AttributeWord(
            view, how(view.name, view), tuple(OtherWord(said, how(view.name, said)) for said in view.conflicts)
        )
        for view in detail.attributes
    ]
