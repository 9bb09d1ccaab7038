from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.telemetry.actions import append, reject
from tongchou.telemetry.admit import Refusals
from tongchou.telemetry.promql.parse import parse
from tongchou.telemetry.series import SeriesBlock, labels_of

pytestmark = pytest.mark.django_db
HOSTILE = 'x" <script>alert(1)</script> \\ ] }'


def fill(telemetry: Any) -> None:
    now = telemetry.clock()
    rows = [(labels_of({"__name__": "up", "job": HOSTILE, "i": str(i)}), [now], [1.0]) for i in range(3)]
    append(SeriesBlock.build(rows), actor=system("mail-1"))
    reject(Refusals({"not a metric name": 7}, {"not a metric name": HOSTILE}), actor=system("mail-1"))


def test_the_page_tells_what_there_is_who_sends_it_and_what_was_refused(telemetry_db: Any, browser: Any) -> None:
    fill(telemetry_db)
    page = browser(Role.VIEWER).get("/cardinality").content.decode()
    assert "system mail-1" in page
    assert "not a metric name" in page
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 2  # in the pair and in the example


def test_every_link_asks_a_query_that_is_valid(telemetry_db: Any, browser: Any) -> None:
    fill(telemetry_db)
    answer = browser(Role.VIEWER).get("/cardinality")
    context = answer.context
    links = [each.url for each in (*context["metrics"], *context["pairs"])] + [
        each["url"] for each in context["labels"]
    ]
    assert len(links) == 1 + 4 + 3  # pairs of the name are the metrics'
    for link in links:
        for query in parse_qs(urlsplit(link).query)["query"]:
            parse(query)
    assert browser(Role.VIEWER).get(links[0]).status_code == 200


def test_an_empty_store_says_what_to_do(telemetry_db: Any, browser: Any) -> None:
    page = browser(Role.VIEWER).get("/cardinality").content.decode()
    assert "/explore" in page
    assert "remote_write" in page


def test_it_warns_before_the_limit(telemetry_db: Any, browser: Any, settings: Any) -> None:
    fill(telemetry_db)
    settings.TELEMETRY_MAX_SERIES = 3
    assert "TONGCHOU_TELEMETRY_MAX_SERIES" in browser(Role.VIEWER).get("/cardinality").content.decode()
