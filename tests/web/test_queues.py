from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from tests.access.test_matrix import identity
from tests.inventory.made import make_drift
from tongchou.core.access import system
from tongchou.core.models import User
from tongchou.inventory import actions, kinds, refresh
from tongchou.inventory.models_queues import ItemState, QueueItem

pytestmark = pytest.mark.django_db
ACTOR = system("tests")


@pytest.fixture
def page(admin_user: User) -> Client:
    return identity(admin_user).page


@pytest.fixture
def drift(db: None) -> QueueItem:
    return make_drift("box-a")


def test_the_inventory_shows_what_waits_and_leads_there(page: Client, drift: QueueItem) -> None:
    text = page.get("/resources/kinds").content.decode()
    assert 'href="/resources/queues?queue=differs"' in text
    listed = page.get("/resources/queues?queue=differs").content.decode()
    assert "box-a" in listed
    assert f"/resources/queues/{drift.pk}" in listed
    assert "box-a" not in page.get("/resources/queues?queue=unseen").content.decode()


def test_an_item_is_worked_on_its_page(page: Client, drift: QueueItem) -> None:
    shown = page.get(f"/resources/queues/{drift.pk}").content.decode()
    assert "Debian 12" in shown
    assert "Debian 11" in shown
    refused = page.post(f"/resources/queues/{drift.pk}", {"do": "ignore", "reason": "x", "until": "nonsense"})
    assert refused.status_code == 422
    done = page.post(f"/resources/queues/{drift.pk}", {"do": "keep_declared", "reason": "the scanner is wrong"})
    assert done.headers["Location"] == "/resources/queues?queue=differs"
    drift.refresh_from_db()
    assert (drift.state, drift.reason) == (ItemState.KEPT, "the scanner is wrong")
    assert page.get("/resources/queues?queue=decided").content.decode().count("box-a")


@pytest.mark.parametrize(("zone", "end"), [("Asia/Shanghai", "15:59"), ("America/New_York", "04:59"), ("UTC", "23:59")])
def test_ignored_until_a_day_ends_with_that_day_on_the_persons_clock(
    admin_user: User, page: Client, drift: QueueItem, zone: str, end: str
) -> None:
    User.objects.filter(pk=admin_user.pk).update(time_zone=zone, language="en")
    assert f"The end of that day in {zone}." in page.get(f"/resources/queues/{drift.pk}").content.decode()
    day = (timezone.now() + timedelta(days=10)).date().replace(month=1, day=15)
    day = day.replace(year=day.year + 1)
    page.post(f"/resources/queues/{drift.pk}", {"do": "ignore", "reason": "x", "until": day.isoformat()})
    drift.refresh_from_db()
    assert drift.until is not None
    assert f"{drift.until:%H:%M}" == end
    assert drift.until.astimezone(ZoneInfo(zone)).date() == day


def test_many_ignored_until_a_day_end_with_it_on_the_clock_of_who_asked(
    admin_user: User, page: Client, drift: QueueItem
) -> None:
    User.objects.filter(pk=admin_user.pk).update(time_zone="Asia/Shanghai", language="en")
    assert "The end of that day in Asia/Shanghai." in page.get("/resources/queues?queue=differs").content.decode()
    day = f"{timezone.now().year + 1}-01-15"
    form = {"change": "ignore", "query": "queue=differs", "row": [str(drift.pk)], "set-reason": "x", "set-until": day}
    planned = page.post("/lists/inventory.queueitem/change", form)
    with timezone.override("UTC"):  # as a job, which has no person's clock
        assert page.post(f"{planned.headers['Location']}/run").status_code == 302
    drift.refresh_from_db()
    assert drift.until is not None
    assert drift.until.isoformat().startswith(f"{day}T15:59:59")


def test_a_day_that_has_no_end_is_refused(page: Client, drift: QueueItem) -> None:
    for until in ("9999-12-31", "2027-02-30", ""):
        answer = page.post(f"/resources/queues/{drift.pk}", {"do": "ignore", "reason": "x", "until": until})
        assert answer.status_code == 422


def test_many_items_are_decided_at_once_with_a_preview(page: Client, drift: QueueItem) -> None:
    form: dict[str, Any] = {"change": "accept_observed", "query": "queue=differs", "row": [str(drift.pk)]}
    planned = page.post("/lists/inventory.queueitem/change", form)
    assert planned.status_code == 302
    preview = page.get(planned.headers["Location"]).content.decode()
    assert "Debian 11" in preview
    page.post(f"{planned.headers['Location']}/run")
    assert not QueueItem.objects.filter(pk=drift.pk).exists()


def test_an_attribute_shows_its_age_and_what_others_say(page: Client, drift: QueueItem) -> None:
    text = page.get(f"/resources/{drift.resource_id}").content.decode()
    assert "eyes: Debian 11" in text


def test_two_of_one_name_are_merged_and_the_old_address_leads_on(page: Client) -> None:
    rows = [
        actions.create_resource(actor=ACTOR, kind="host", name="twin", keys=(f"k:{n}",), labels={"n": str(n)})
        for n in range(2)
    ]
    refresh.refresh(timezone.now())
    item = QueueItem.objects.get(queue="identity")
    other = next(row for row in rows if row.pk != item.resource_id)
    assert str(other.pk) in page.get(f"/resources/queues/{item.pk}").content.decode()
    address = f"/resources/{item.resource_id}/identity"
    assert str(other.pk) in page.get(address).content.decode()
    assert page.post(address, {"do": "merge", "other": str(other.pk)}).status_code == 302
    old = page.get(f"/resources/{other.pk}")
    assert old.headers["Location"] == f"/resources/{item.resource_id}"
    assert "k:0" in page.get(address).content.decode()
    assert page.post(address, {"do": "split", "key": ["k:0", "k:1"]}).status_code == 422
    assert not QueueItem.objects.filter(queue="identity").exists()
    merged = item.resource.merges.get() if item.resource else None
    assert merged is not None
    assert page.post(address, {"do": "undo", "merge": str(merged.pk)}).status_code == 302
    assert page.get(f"/resources/{other.pk}").status_code == 200


def test_a_key_is_moved_to_a_resource_on_the_page(page: Client) -> None:
    one = actions.create_resource(actor=ACTOR, kind="host", name="box-1", keys=("k:1", "k:2"))
    two = actions.create_resource(actor=ACTOR, kind="host", name="box-2", keys=("k:3",))
    address = f"/resources/{one.pk}/identity"
    assert f'<option value="{two.pk}">' in page.get(f"{address}?q=box").content.decode()
    assert page.post(address, {"do": "split", "key": ["k:2"], "into": str(two.pk)}).status_code == 302
    assert set(two.identities.values_list("key", flat=True)) == {"k:2", "k:3"}
    assert page.post(address, {"do": "split", "key": ["k:1"], "into": str(two.pk)}).status_code == 422


def test_the_calendar_of_ends_shows_a_month_with_its_list(page: Client) -> None:
    facts = {"a": {"warranty_ends_on": "2031-01-02"}, "b": {"os": "CentOS Linux 7 (Core)"}, "c": {"os": "HaikuOS"}}
    for name, attributes in facts.items():
        actions.create_resource(actor=ACTOR, kind="host", name=f"box-{name}", attributes=attributes)
    refresh.refresh(timezone.now())
    text = page.get("/resources/ends?month=2031-01").content.decode()
    assert "box-a" in text
    assert 'id="day-2031-01-02"' in text
    assert "box-b" not in text
    assert 'href="/api/v1/ends.ics"' in text
    assert page.get("/api/v1/ends.ics?sort=warranty").content.count(b"BEGIN:VEVENT") == 1
    assert 'href="/api/v1/ends.ics?sort=os"' in page.get("/resources/ends?sort=os").content.decode()
    assert "box-a" not in page.get("/resources/ends?month=2031-01&sort=os").content.decode()
    assert page.get("/resources/ends?month=nonsense").status_code == 200
    waiting = page.get("/resources/queues?queue=expiring").content.decode()
    assert "box-b" in waiting
    assert "box-c" in waiting
    assert "box-a" not in waiting


@pytest.fixture
def noon() -> Iterator[None]:
    """A time of today at which it is today everywhere people work: pages go by the zone of who looks."""
    with time_machine.travel(timezone.now().replace(hour=4, minute=0)):
        yield


def test_what_is_over_is_as_many_as_the_list_behind_it_and_is_called_by_its_name(page: Client, noon: None) -> None:
    today = timezone.localdate()
    for days in (-2, -1, 0, 1):
        day = (today + timedelta(days=days)).isoformat()
        actions.create_resource(actor=ACTOR, kind="host", name=f"box{days:+d}", attributes={"warranty_ends_on": day})
    refresh.refresh(timezone.now())
    text = page.get("/resources/ends").content.decode()
    ((address, count),) = re.findall(r'href="(/resources/queues[^"]*due\.to=[^"]*)".*?</span>(\d+)', text, re.DOTALL)
    assert count == "2"
    listed = page.get(html.unescape(address)).content.decode()
    assert [name for name in ("box-2", "box-1", "box+0", "box+1") if name in listed] == ["box-2", "box-1"]
    text = page.get(f"/resources/ends?month={today:%Y-%m}").content.decode()
    named = kinds.field_named("warranty_ends_on")
    assert named is not None
    assert named.title in text
    assert "warranty_ends_on" not in text


def test_every_number_of_completeness_leads_to_its_list(page: Client) -> None:
    actions.create_resource(actor=ACTOR, kind="service", name="shop", labels={"site": "north"})
    refresh.refresh(timezone.now())
    text = page.get("/resources/completeness").content.decode()
    for address in ("queue=unowned&amp;kind=service", "queue=unowned&amp;owner.empty=1", "label=site%3Dnorth"):
        assert address in text, address
    listed = page.get("/resources/queues?queue=unowned&label=site%3Dnorth").content.decode()
    assert "shop" in listed
    assert "shop" not in page.get("/resources/queues?queue=unowned&label=site%3Dsouth").content.decode()
