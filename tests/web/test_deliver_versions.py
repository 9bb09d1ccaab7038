"""The pages of versions: the list, one with where it is, told by hand, withdrawn and allowed again."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from tests.changes.release.conftest import (  # noqa: F401  # fixtures
    Shop,
    _loopback,
    _no_store,
    effects,
    metrics,
    shop,
    work,
)
from tests.web.foreign import member_of
from tongchou.changes.models_release import Artefact
from tongchou.core import people
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db
TESTS = system("tests")
NEW, LIST = "web:release-version-new", "web:release-versions"
QUERIES = 40  # of the list, however many versions there are


def page_of(row: Artefact) -> str:
    return reverse("web:release-version", args=[row.pk])


def act(row: Artefact, name: str) -> str:
    return reverse("web:release-version-act", args=[row.pk, name])


def test_one_is_told_by_hand_and_means_one_thing(browser: Any, shop: Shop) -> None:  # noqa: F811
    person = browser(Role.OPERATOR)
    form = {"service": "shop", "version": "3.0", "digest": "a" * 64, "notes": "*less* <b>"}
    answer = person.post(reverse(NEW), form)
    row = Artefact.objects.get()
    assert answer["Location"] == page_of(row)
    page = person.get(page_of(row)).content.decode()
    assert "<em>less</em>" in page
    assert "&lt;b&gt;" in page
    assert "Nowhere yet." in page
    refused = person.post(reverse(NEW), {**form, "digest": "b" * 64})
    assert refused.status_code == 409
    assert 'value="3.0"' in refused.content.decode()
    assert person.post(reverse(NEW), {**form, "service": "nobody"}).status_code == 422


def test_it_says_where_it_is_and_where_it_was_replaced(
    browser: Any,
    shop: Shop,  # noqa: F811
    django_assert_max_num_queries: Any,
) -> None:
    release = work(shop.started("1.0"))
    first = Artefact.objects.get(version="1.0")
    person = browser(Role.VIEWER)
    page = person.get(page_of(first)).content.decode()
    assert "there now" in page
    assert reverse("web:release", args=[release.number]) in page
    work(shop.started("2.0"))
    page = person.get(page_of(first)).content.decode()
    assert "replaced since" in page
    assert "there now" not in page
    person.get(reverse(LIST))
    with django_assert_max_num_queries(QUERIES):
        listed = person.get(reverse(LIST)).content.decode()
    assert page_of(first) in listed


def test_it_is_withdrawn_with_a_reason_and_allowed_again(browser: Any, shop: Shop) -> None:  # noqa: F811
    shop.plan("2.0")
    row, person = Artefact.objects.get(), browser(Role.OPERATOR)
    assert person.post(act(row, "withdraw"), {"reason": " "}).status_code == 422
    assert person.post(act(row, "withdraw"), {"reason": "it loses baskets"}).status_code == 302
    row.refresh_from_db()
    assert row.withdrawn_reason == "it loses baskets"
    assert "it loses baskets" in person.get(page_of(row)).content.decode()
    assert page_of(row) in person.get(reverse(LIST), {"queue": "withdrawn"}).content.decode()
    assert person.post(act(row, "restore")).status_code == 302
    row.refresh_from_db()
    assert row.withdrawn_at is None
    assert person.post(act(row, "explode")).status_code == 404


def test_a_viewer_changes_nothing_and_another_team_sees_nothing(browser: Any, shop: Shop) -> None:  # noqa: F811
    shop.plan("2.0")
    row, viewer = Artefact.objects.get(), browser(Role.VIEWER, "zh-hans")
    page = viewer.get(page_of(row)).content.decode()
    assert 'data-dialog="withdraw"' not in page
    assert "Releases with it" not in page
    assert viewer.post(act(row, "withdraw"), {"reason": "x"}).status_code == 403
    assert viewer.get(reverse(NEW)).status_code == 403
    theirs = people.create_team(actor=TESTS, name="theirs")
    mine = people.create_team(actor=TESTS, name="mine")
    Resource.objects.filter(pk=shop.service.pk).update(owner=theirs)
    stranger = browser(member_of(mine, Role.OPERATOR))
    assert stranger.get(page_of(row)).status_code == 404
    assert stranger.post(act(row, "withdraw"), {"reason": "x"}).status_code == 404
    assert shop.service.name not in stranger.get(reverse(LIST)).content.decode()
    assert stranger.post(reverse(NEW), {"service": "shop", "version": "9"}).status_code == 422
