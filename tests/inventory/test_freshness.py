from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tongchou.inventory import reads
from tongchou.inventory.freshness import LEAST_SECONDS, Limits, freshness, read_overrides
from tongchou.inventory.models import AttributeValue, Resource, Sighting, SourceConfig
from tongchou.inventory.precedence import MANUAL
from tongchou.inventory.words import words_of

NOW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
EVERY = {"sd": 600.0, "quick": 5.0, "handed": None}


@dataclass
class Said:
    source: str
    last_seen: datetime | None
    changed_at: datetime = NOW - timedelta(days=36_500)


def state(source: str, age_seconds: float | None, limits: Limits | None = None, attribute: str = "os") -> str:
    seen = None if age_seconds is None else NOW - timedelta(seconds=age_seconds)
    found = freshness(attribute, Said(source, seen), now=NOW, limits=limits or Limits(), interval_seconds=EVERY)
    return found.state


def test_a_word_is_stale_when_its_source_missed_so_many_intervals() -> None:
    assert [state("sd", age) for age in (0, 1800, 1801)] == ["fresh", "fresh", "stale"]


def test_the_time_between_two_flushes_makes_nothing_stale() -> None:
    assert [state("quick", age) for age in (90, LEAST_SECONDS + 1)] == ["fresh", "stale"]


def test_a_persons_word_ages_too_unless_it_never_shall() -> None:
    year = 365 * 86_400
    assert [state(MANUAL, year - 1), state(MANUAL, year + 1)] == ["fresh", "stale"]
    assert state(MANUAL, 10 * year, Limits(manual_seconds=0)) == "fresh"


def test_what_was_handed_over_ages_as_a_persons_word_for_nothing_looks_by_itself() -> None:
    year = 365 * 86_400
    assert [state("handed", age) for age in (901, year - 1, year + 1)] == ["fresh", "fresh", "stale"]
    assert state("handed", 10 * year, Limits(manual_seconds=0)) == "fresh"
    assert state("handed", 90, Limits(by_attribute={"os": 60})) == "stale"


@pytest.mark.django_db
def test_a_source_that_waits_for_files_is_not_late_and_one_that_reads_is(django_assert_num_queries: Any) -> None:
    now = timezone.now()
    found = {}
    for name, settings in (("waits", {}), ("reads", {"path": "/srv/terraform.tfstate"})):
        SourceConfig.objects.create(name=name, kind="terraform", settings=settings, interval_seconds=300)
        row = Resource.objects.create(kind="host", name=name, source=name)
        AttributeValue.objects.create(resource=row, source=name, name="os", value="x", changed_at=now)
        Sighting.objects.create(resource=row, source=name, last_seen=now)
        detail = reads.detail(row)
        with django_assert_num_queries(2):
            (word,) = words_of(detail, now + timedelta(days=2))
        found[name] = (word.freshness.state, word.freshness.limit_seconds)
    assert found == {"waits": ("fresh", 365 * 86_400.0), "reads": ("stale", 900.0)}


@pytest.mark.parametrize("age", [None, 5.0])
def test_what_nobody_would_see_again_is_unknown_never_fresh(age: float | None) -> None:
    assert state("deleted", age) == "unknown"


def test_what_a_person_says_of_a_thing_that_others_see_is_as_fresh_as_it_is_said() -> None:
    said = Said(MANUAL, None, NOW - timedelta(days=1))
    found = freshness("os", said, now=NOW, limits=Limits(), interval_seconds=EVERY)
    assert (found.state, found.age_seconds) == ("fresh", 86_400)


def test_an_attribute_may_have_a_limit_of_its_own() -> None:
    limits = Limits(by_attribute=read_overrides("os=1m, kernel=2d") or {})
    assert state("sd", 90, limits) == "stale"
    assert state("sd", 90_000, limits, "kernel") == "fresh"
    assert state("deleted", 90, limits) == "stale"


@pytest.mark.parametrize("text", ["os", "os=", "os=5", "os=5y", "=5d", "a b=5d", "os=5d;x=1h"])
def test_an_override_that_cannot_be_read_is_none(text: str) -> None:
    assert read_overrides(text) is None


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.integers(1, 1000))
def test_what_is_older_is_never_fresher(one: float, other: float, intervals: int) -> None:
    limits = Limits(intervals=intervals)
    younger, older = sorted([one, other])
    assert (state("sd", younger, limits), state("sd", older, limits)) != ("stale", "fresh")
