"""The guide in the product: in the reader's language, linked, searched, opened from where it helps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tongchou.core.models import Role
from tongchou.web import guide, guide_of
from tongchou.web.urls import urlpatterns

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("language", "words"), [("en", "What to do in the first hour"), ("zh-hans", "第一个小时要做的事")]
)
def test_a_page_is_shown_in_the_language_of_who_reads(
    browser: Callable[..., Client], language: str, words: str
) -> None:
    text = browser(Role.VIEWER, language).get("/guide/start").content.decode()
    assert words in text
    assert 'href="/guide/alerting"' in text
    assert '.md"' not in text


def test_every_page_opens_and_leads_only_to_pages_there_are(browser: Callable[..., Client]) -> None:
    client = browser(Role.VIEWER)
    for name in guide.chapters("en"):
        assert client.get(f"/guide/{name}").status_code == 200
    assert client.get("/guide/none").status_code == 404


def test_the_list_is_narrowed_by_words(browser: Callable[..., Client]) -> None:
    text = browser(Role.VIEWER, "zh-hans").get("/guide?q=调休").content.decode()
    assert 'href="/guide/calendars?q=' in text
    assert 'href="/guide/logs?q=' not in text
    assert "No page has all these words" in browser(Role.VIEWER).get("/guide?q=zzzz").content.decode()


def test_help_leads_to_a_page_there_is() -> None:
    known = guide.chapters("en")
    assert set(guide_of.HELP.values()) <= set(known)
    names = {str(each.name) for each in urlpatterns}
    assert guide_of.help_page("incident-act") == "incident-room"
    assert guide_of.help_page("nothing") == "index"
    first_words = {name.partition("-")[0] for name in names}
    assert set(guide_of.HELP) <= first_words, "the help speaks of pages that are gone"


def test_a_page_has_a_link_to_its_help(browser: Callable[..., Client]) -> None:
    assert 'href="/guide/calendars"' in browser(Role.VIEWER).get("/calendars").content.decode()


def test_pictures_come_from_their_folder_and_nothing_else(browser: Callable[..., Client]) -> None:
    client = browser(Role.VIEWER, "zh-hans")
    text = client.get("/guide/logs").content.decode()
    assert 'src="/guide/pictures/zh/logs"' in text
    answer = client.get("/guide/pictures/zh/logs")
    assert (answer["Content-Type"], b"".join(answer.streaming_content)[8:12]) == ("image/webp", b"WEBP")
    for path in ("/guide/pictures/zh/none", "/guide/pictures/fr/logs", "/guide/pictures/zh/..%2Flogs"):
        assert client.get(path).status_code == 404
