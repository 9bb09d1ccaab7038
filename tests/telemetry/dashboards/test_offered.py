"""What is offered can be read, asks queries that can be parsed, in both languages."""

from __future__ import annotations

import pytest
from django.utils import translation

from tongchou.telemetry.dashboards.choose import choose, ordered
from tongchou.telemetry.dashboards.definition import parse
from tongchou.telemetry.dashboards.offered import OFFERS, Offer
from tongchou.telemetry.dashboards.substitute import Scope, promql
from tongchou.telemetry.dashboards.words import QUERIED
from tongchou.telemetry.logs.query import parse as parse_logs
from tongchou.telemetry.promql.parse import parse as parse_promql


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("each", OFFERS, ids=lambda each: each.name)
def test_an_offer_is_a_whole_dashboard(each: Offer, language: str) -> None:
    with translation.override(language):
        found = each.make()
    assert parse(found.as_json()) == found
    assert all(panel.title for panel in found.panels())
    chosen = {one.name: choose(one, (("a", "a"), ("b.c", "b.c")), None) for one in ordered(found.variables)}
    for panel in found.panels():
        for query in panel.queries:
            if panel.kind in QUERIED:
                parse_promql(promql(query.expr, Scope(chosen)))
            else:
                parse_logs(query.expr)
    assert any(each.needs in query.expr for panel in found.panels() for query in panel.queries)
