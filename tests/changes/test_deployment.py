"""Reading a deployment: every sender's words and times, and nothing that breaks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.changes.deployment import STATUSES, read
from tongchou.core.problems import Invalid

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
LEAST = {"service": "orders", "version": "1.4", "delivery_id": "d-1"}


def fields(**more: Any) -> dict[str, Any]:
    """The least report with some fields more."""
    return {**LEAST, **more}


def test_the_least_report_ended_now() -> None:
    report = read(LEAST, now=NOW)
    assert (report.service, report.version, report.status) == ("orders", "1.4", "succeeded")
    assert (report.started_at, report.finished_at) == (NOW, NOW)


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2026-03-02T09:59:00Z", NOW - timedelta(minutes=1)),
        ("2026-03-02T17:59:00+08:00", NOW - timedelta(minutes=1)),
        ("2026-03-02T09:59:00", NOW - timedelta(minutes=1)),
        (NOW.timestamp() - 60, NOW - timedelta(minutes=1)),
        (int(NOW.timestamp()) - 60, NOW - timedelta(minutes=1)),
    ],
)
def test_times_in_every_form_are_utc(given_time: Any, expected: datetime) -> None:
    assert read(fields(started_at=given_time), now=NOW).started_at == expected


def test_a_running_release_has_no_end() -> None:
    report = read(fields(status="in_progress", finished_at="2026-03-02T10:00:00Z"), now=NOW)
    assert (report.status, report.finished_at) == ("running", None)


@pytest.mark.parametrize(("word", "status"), sorted(STATUSES.items()))
def test_the_words_of_all_tools_are_four(word: str, status: str) -> None:
    assert read(fields(status=word.upper()), now=NOW).status == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], None),
        ("text", None),
        (None, None),
        ({**LEAST, "service": ""}, "service"),
        ({**LEAST, "service": "  "}, "service"),
        ({**LEAST, "service": 7}, "service"),
        ({**LEAST, "service": "x" * 254}, "service"),
        ({**LEAST, "service": "a\x00b"}, "service"),
        ({**LEAST, "version": None}, "version"),
        ({**LEAST, "delivery_id": None}, "delivery_id"),
        ({**LEAST, "delivery_id": ""}, "delivery_id"),
        ({**LEAST, "delivery_id": "x" * 121}, "delivery_id"),
        ({**LEAST, "delivery_id": "with space"}, "delivery_id"),
        ({**LEAST, "delivery_id": True}, "delivery_id"),
        ({**LEAST, "status": "perhaps"}, "status"),
        ({**LEAST, "status": ["succeeded"]}, "status"),
        ({**LEAST, "url": "javascript:alert(1)"}, "url"),
        ({**LEAST, "started_at": "soon"}, "started_at"),
        ({**LEAST, "started_at": True}, "started_at"),
        ({**LEAST, "started_at": 1e300}, "started_at"),
        ({**LEAST, "started_at": float("nan")}, "started_at"),
        ({**LEAST, "started_at": "2036-01-01T00:00:00Z"}, "started_at"),
        ({**LEAST, "started_at": "2001-01-01T00:00:00Z"}, "started_at"),
        ({**LEAST, "started_at": "2026-03-02T10:00:00Z", "finished_at": "2026-03-02T09:00:00Z"}, "started_at"),
    ],
)
def test_what_does_not_fit_is_refused_by_field(body: Any, field: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        read(body, now=NOW)
    assert refused.value.field == field


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(
    [
        "service",
        "version",
        "previous_version",
        "delivery_id",
        "status",
        "started_at",
        "finished_at",
        "url",
        "actor",
        "x",
    ]
)


@given(st.dictionaries(names, values) | values)
def test_any_json_is_read_or_refused(body: Any) -> None:
    try:
        report = read({**LEAST, **body} if isinstance(body, dict) else body, now=NOW)
    except Invalid:
        return
    assert report.started_at.tzinfo is not None
    assert report.finished_at is None or report.started_at <= report.finished_at
