"""The number of SQL queries of every URL is the same however many rows there are; new URLs are walked by themselves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import rows
from tests.access.matrix import STREAMS
from tests.access.test_matrix import identity
from tests.access.walk import Place, operation, places, query
from tests.conftest import make_user
from tongchou.core.models import Role
from tongchou.telemetry.backend import Telemetry
from tongchou.web.incident_parts import PARTS

pytestmark = pytest.mark.timeout(1800)  # it walks every URL: minutes where the machine is busy

FEW, MANY = 20, 60  # 20: there is one of every kind of subject
MOST = 60  # queries of any one URL
# What may grow, and why; the number is how many queries more there may be at MANY rows.
GROWS: dict[str, int] = {
    "api/v1/inbox": 1,  # one statement drops what the reader may no longer see, where a page meets such rows
}


def addresses() -> dict[str, Place | str]:
    """Every URL that is read, by its route, and the pages' parts."""
    found: dict[str, Any] = {}
    for place in places():
        if place.route in STREAMS or place.route.startswith("accounts/"):
            continue
        if place.is_api and not operation(place, "GET"):
            continue
        found[place.route] = place, place.address + (f"?{query(place, 'GET')}" if place.is_api else "")
        if place.is_page and not place.is_api:
            found[f"{place.route}?part=live"] = place, f"{place.address}?part=live"
        if place.route == "incidents/<int:number>":
            for part in PARTS:
                found[f"{place.route}?part={part}"] = place, f"{place.address}?part={part}"
    return found


def asked(client: Client, path: str, *, warm: bool = False) -> Counter[str]:
    """The statements one GET asks, by their text without the numbers of its lists. `warm`: it was asked just now."""
    if not warm:
        client.get(path)  # what is kept for the next request is kept now
    with CaptureQueriesContext(connection) as seen:
        client.get(path)
    return Counter(each["sql"].split(" WHERE ")[0][:200] for each in seen.captured_queries)


def asks_more(client: Client, path: str, before: Counter[str], allowed: int) -> tuple[str, Counter[str]] | None:
    """What one GET asks more than before, if it does so each time: not a cache that ends, nor a date of last use."""
    for again in range(4):
        many = asked(client, path, warm=again == 0)  # cold it asks no less, and mostly no more either
        if many.total() <= before.total() + allowed and many.total() <= MOST:
            return None
    told = [f"{count}x {sql}" for sql, count in (many - before).most_common(3)]
    return f"{before.total()} -> {many.total()} {told}", many


def test_no_url_asks_more_questions_for_more_rows(db: None, telemetry_db: Telemetry, caplog: Any) -> None:
    caplog.set_level("CRITICAL")
    who = identity(make_user("root-of-tests", Role.ADMIN))
    who.page.get("/")  # the session is listed from its first page on
    rows.grow(FEW)
    before = {name: asked(who.at(place), path) for name, (place, path) in addresses().items()}
    wrong: list[str] = []
    # Twice: the first subject by its random key may be another one, with a first child; what asks for each row asks again.
    for count in (MANY, 3 * MANY):
        rows.grow(count)
        wrong, more = [], {}
        for name, (place, path) in addresses().items():
            if name in before and (told := asks_more(who.at(place), path, before[name], GROWS.get(name, 0))):
                wrong.append(f"/{name} at {count} rows: {told[0]}")
                more[name] = told[1]
        before = more
        if not wrong:
            break
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(GROWS))
def test_what_may_grow_is_still_there(name: str, db: None, telemetry_db: Telemetry) -> None:
    rows.grow(1)
    assert name in addresses()
