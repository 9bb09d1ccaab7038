"""No list reads or sorts a whole big table to show its first page: the database's plan of every query says so.

Lists are found in the URL configuration. The figures at 100,000 rows are measured by `python -m bench lists`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import rows
from tests.access.matrix import STREAMS
from tests.access.test_matrix import identity
from tests.access.walk import operation
from tests.access.walk import places as addresses
from tests.conftest import make_user
from tongchou.core.lists import places
from tongchou.core.models import Role
from tongchou.inventory.models import Resource
from tongchou.telemetry.backend import Telemetry

pytestmark = [
    pytest.mark.timeout(1800),  # it walks every URL: minutes where the machine is busy
    pytest.mark.skipif(
        connection.vendor != "sqlite", reason="reads SQLite's plans; `python -m bench lists` measures both"
    ),
]

BIG = (
    "inventory_resource", "alerting_alertgroup", "alerting_alert", "alerting_notification", "runbooks_run",
    "incidents_incident", "incidents_affectedresource", "changes_deployment", "core_event", "core_eventabout", "core_job",
    "core_approval",
)  # fmt: skip
# A read of all of a big table that is meant, and why: route -> words of its plan.
MEANT: dict[str, tuple[str, ...]] = {
    "metrics": ("core_job", "alerting_notification"),  # counts by state, at most every 15 s
    "map": ("inventory_resource",),  # draws all of them
    "api/v1/map": ("inventory_resource",),
    "api/v1/ledger/verify": ("core_event",),  # the whole chain is what is asked for
}
SCAN = re.compile(r"^SCAN (\S+)(?! USING (?:COVERING )?INDEX)")


@pytest.fixture(autouse=True)
def very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans are those of lists of which very many rows fit: few are sorted by themselves."""
    monkeypatch.setattr(places, "FEW", 0)


def plan_of(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return [row[3] for row in cursor.fetchall()]


def faults(sql: str) -> list[str]:
    """What of the plan reads or sorts all of a big table, when the query wants a page of it."""
    if not sql.startswith("SELECT") or (" LIMIT " not in sql and "COUNT(" not in sql):
        return []
    table = next((name for name in BIG if f'FROM "{name}"' in sql), "")
    plan, found = plan_of(sql), []
    for line in plan:
        scanned = SCAN.match(line)
        stops = "USE TEMP B-TREE FOR ORDER BY" not in plan and "GROUP BY" not in sql and "COUNT(" not in sql
        if scanned and scanned[1] in BIG and "USING" not in line and not stops:
            found.append(line)
        if line == "USE TEMP B-TREE FOR ORDER BY" and table and "GROUP BY" not in sql and " WHERE " not in sql:
            found.append(f"{line} of {table}")
    return found


def asked(client: Client, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        client.get(path)
    return [each["sql"] for each in seen.captured_queries]


def test_no_list_reads_or_sorts_all_of_a_big_table(db: None, telemetry_db: Telemetry, caplog: Any) -> None:
    caplog.set_level("CRITICAL")
    rows.grow(3)
    who, wrong = identity(make_user("root-of-tests", Role.ADMIN)), []
    for place in addresses():
        if "<" in place.route or place.route in STREAMS or (place.is_api and not operation(place, "GET")):
            continue
        for sql in dict.fromkeys(asked(who.at(place), place.address)):
            bad = [each for each in faults(sql) if not any(word in each for word in MEANT.get(place.route, ()))]
            if bad:
                wrong.append(f"/{place.route}: {bad} in {sql[:90]} ... {sql[-160:]}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_resources_with_those_that_are_gone_are_sorted_by_an_index(db: None) -> None:
    Resource.objects.bulk_create([Resource(kind="host", name=f"h{n}", source="t") for n in range(30)])
    client = identity(make_user("root-of-tests", Role.ADMIN)).page
    for sort in ("name", "-name", "kind", "-kind", "created", "-created"):
        listed = [sql for sql in asked(client, f"/resources?state=all&sort={sort}") if "ORDER BY" in sql]
        assert any('FROM "inventory_resource" ORDER BY' in sql for sql in listed)
        assert not [fault for sql in listed for fault in faults(sql)], sort


def test_the_look_at_plans_sees_a_sort_of_everything(db: None) -> None:
    assert faults('SELECT * FROM "core_job" ORDER BY "core_job"."error" LIMIT 5')
    assert not faults('SELECT * FROM "core_event" ORDER BY "core_event"."id" DESC LIMIT 5')
