"""The pages of drift: the queue, one difference with its diff and decision, the rules; in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.changes.observing import eyes, looked, port, thing
from tongchou.changes import drift_actions
from tongchou.changes.drift import Found, Look
from tongchou.changes.drift_actions import Origin
from tongchou.changes.models_control import Change
from tongchou.changes.models_drift import Drift, DriftIgnore, DriftSource
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions as inventory

pytestmark = pytest.mark.django_db
TESTS = system("tests")


@pytest.fixture
def row() -> Drift:
    web = inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    found = Found("web-1", "/etc/motd", "hello", "<b>bye</b>", "-hello\n+<b>bye</b>", web.pk)
    origin = Origin(DriftSource.PLAYBOOK, "changes.playbook:1", "site")
    drift_actions.observe(actor=TESTS, origin=origin, found=[found], looked=None, look=Look(timezone.now()))
    return Drift.objects.get()


def test_the_queue_shows_what_nobody_explained(browser: Any, row: Drift) -> None:
    page = browser(Role.VIEWER).get(reverse("web:drift") + "?state=open").content.decode()
    assert "/etc/motd" in page
    assert "&lt;b&gt;bye" in page
    assert "web-1" not in browser(Role.VIEWER).get(reverse("web:drift") + "?state=cleared").content.decode()


def test_an_empty_queue_says_what_to_do(browser: Any) -> None:
    assert "Nothing differs" in browser(Role.VIEWER).get(reverse("web:drift")).content.decode()


def test_one_difference_is_shown_and_decided(browser: Any, row: Drift) -> None:
    url = reverse("web:drift-item", args=[row.pk])
    seen = browser(Role.VIEWER).get(url).content.decode()
    assert "Revert it" not in seen
    assert "+&lt;b&gt;bye&lt;/b&gt;" in seen
    person = browser(Role.OPERATOR)
    assert person.post(url, {"do": "revert", "reason": ""}).status_code == 422
    assert person.post(url, {"do": "revert", "reason": "by hand"}).status_code == 302
    row.refresh_from_db()
    assert row.state == "revert"
    assert "需回退" in browser(Role.VIEWER, "zh-hans").get(url).content.decode()


def test_what_was_observed_is_shown_in_words_and_units_in_both_languages(browser: Any) -> None:
    source = eyes()
    looked(source, thing("db-1", memory_bytes=8 * 2**30, cpu_count=4), port("db-1", 22, "sshd"))
    looked(source, thing("db-1", memory_bytes=16 * 2**30, cpu_count=4), port("db-1", 22, "sshd"), port("db-1", 443))
    url = reverse("web:drift")
    english = browser(Role.VIEWER).get(url).content.decode()
    chinese = browser(Role.VIEWER, "zh-hans").get(url).content.decode()
    for page, words in ((english, ("Memory", "Listening port", "nobody listened")), (chinese, ("内存", "无监听"))):
        for each in (*words, "memory_bytes", "8 GiB", "16 GiB", "listener tcp/443 (nginx)"):
            assert each in page
    ports = browser(Role.VIEWER).get(url + "?what=listener").content.decode()
    assert "tcp/443" in ports
    assert "memory_bytes" not in ports


def test_many_at_once_are_counted_and_adopted_as_such(browser: Any) -> None:
    source, names = eyes(), [f"web-{number:02}" for number in range(11)]
    looked(source, *(thing(each, kernel="6.1") for each in names))
    looked(source, *(thing(each, kernel="6.2") for each in names))
    row = Drift.objects.get()
    url = reverse("web:drift-item", args=[row.pk])
    page = browser(Role.OPERATOR).get(url).content.decode()
    assert "11 resources in one look" in page
    assert "web-07 kernel: 6.1 → 6.2" in page
    assert browser(Role.OPERATOR).post(url, {"do": "adopt", "reason": "patch day"}).status_code == 302
    assert "Adopted" in browser(Role.VIEWER).get(url).content.decode()
    assert "已采纳" in browser(Role.VIEWER, "zh-hans").get(url).content.decode()


def test_to_revert_shows_the_change_that_was_opened(browser: Any) -> None:
    source = eyes()
    looked(source, thing("db-1", kernel="6.1"))
    looked(source, thing("db-1", kernel="6.2"))
    url = reverse("web:drift-item", args=[Drift.objects.get().pk])
    assert browser(Role.OPERATOR).post(url, {"do": "revert", "reason": "not ours"}).status_code == 302
    change = Change.objects.get()
    page = browser(Role.OPERATOR).get(url).content.decode()
    assert "The change that puts it back:" in page
    assert change.title in page


def test_rules_are_added_and_removed(browser: Any, row: Drift) -> None:
    person, url = browser(Role.OPERATOR), reverse("web:drift-rules")
    assert person.post(url, {"reason": "x"}).status_code == 422
    assert person.post(url, {"reason": "banner", "path": "/etc/motd", "until": ""}).status_code == 302
    shown = person.get(url).content.decode()
    assert "banner" in shown
    assert "The end of that day in Asia/Shanghai." in shown
    rule = DriftIgnore.objects.get()
    assert browser(Role.VIEWER).post(reverse("web:drift-rule-remove", args=[rule.pk])).status_code == 403
    assert person.post(reverse("web:drift-rule-remove", args=[rule.pk])).status_code == 302
    assert not DriftIgnore.objects.exists()


def test_the_ledger_says_of_what_was_observed_that_it_was_modified(browser: Any) -> None:
    source = eyes()
    looked(source, thing("db-1", kernel="6.1"))
    looked(source, thing("db-1", kernel="6.2"))
    looked(source, thing("db-1", kernel="6.1"))
    page = browser(Role.VIEWER).get(reverse("web:drift-item", args=[Drift.objects.get().pk])).content.decode()
    assert "db-1 was modified under no change: kernel" in page
    assert "db-1 is as it was: kernel" in page
