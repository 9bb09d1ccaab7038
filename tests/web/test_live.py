"""The live stream: who may listen, what is sent, nothing is lost when ids commit out of order."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import AsyncClient
from django.utils import timezone

from tests.conftest import make_user
from tests.web.conftest import BACKEND
from tests.web.foreign import member_of
from tongchou.core import ledger, people, sessions
from tongchou.core.access import NOBODY, actor_for_user, system
from tongchou.core.models import Event, Role, User
from tongchou.web import live
from tongchou.web.announce import announcement

pytestmark = pytest.mark.django_db(transaction=True)


def write(verb: str = "incident.opened", subject: str = "incidents.incident:7", **more: Any) -> Event:
    from django.db import transaction

    with transaction.atomic():
        return ledger.record(actor=system("tests"), verb=verb, subject=subject, **more)


def test_news_are_told_once_and_the_seen_are_forgotten_when_they_leave_the_gap() -> None:
    seen: dict[int, Any] = {}
    first = write()
    assert [each.event.pk for each in live.news(seen)] == [first.pk]
    assert live.news(seen) == []
    seen[first.pk] = timezone.now() - timedelta(minutes=5)
    seen[10**9] = timezone.now() - timedelta(minutes=5)
    live.news(seen)
    assert 10**9 not in seen


def test_an_event_with_a_lower_id_that_commits_later_is_not_lost() -> None:
    late = write()
    number = late.pk
    late.delete()
    seen: dict[int, Any] = {}
    newer = write()
    assert [each.event.pk for each in live.news(seen)] == [newer.pk]
    Event.objects.create(id=number, actor_kind="system", actor_name="t", verb="a.b", subject="core.user:1")
    assert [each.event.pk for each in live.news(seen)] == [number]


def test_a_page_that_comes_back_gets_what_it_missed() -> None:
    first = write()
    second = write(about=["inventory.resource:1"])
    found = live.missed(first.pk)
    assert second.pk in [each.event.pk for each in found]
    assert live.wanted(found[-1], "inventory.resource:1")
    assert not live.wanted(found[-1], "inventory.resource:2")
    assert live.wanted(found[-1], "")


def test_a_message_carries_no_payload_and_a_toast_only_for_who_may_see() -> None:
    event = write(payload={"number": 7, "title": "Checkout fails", "secret_thing": "x"})
    happening = live.Happening(event, frozenset())
    told = live.message(happening, system("tests"), "en")
    assert told.startswith(f"id: {event.pk}\nevent: ledger\ndata: ")
    assert "Checkout fails" in told
    assert "secret_thing" not in told
    assert "Checkout fails" not in live.message(happening, NOBODY, "en")


def test_a_role_in_a_team_learns_that_something_changed_and_nothing_of_what() -> None:
    team = people.create_team(actor=system("tests"), name="ours")
    for role in (Role.VIEWER, Role.APPROVER):
        actor = actor_for_user(member_of(team, role))
        for verb in ("incident.opened", "approval.requested", "run.failed"):
            event = write(verb, payload={"number": 7, "title": "Checkout fails", "procedure": "Checkout restart"})
            told = live.message(live.Happening(event, frozenset({"inventory.resource:1"})), actor, "en")
            assert told == f'id: {event.pk}\nevent: ledger\ndata: {{"id": {event.pk}}}\n\n'
            assert announcement(event, actor) is None


def test_the_stream_of_a_foreign_viewer_carries_no_titles() -> None:
    async def story() -> str:
        from asgiref.sync import sync_to_async

        team = await sync_to_async(people.create_team)(actor=system("tests"), name="ours")
        client = AsyncClient()
        await client.aforce_login(await sync_to_async(member_of)(team, Role.VIEWER), backend=BACKEND)
        response = await client.get("/live/events")
        reading = asyncio.ensure_future(_read(response, "event: ledger"))
        await asyncio.sleep(live.POLL_SECONDS * 2)
        await sync_to_async(write)(payload={"number": 7, "title": "Checkout fails"})
        text = await asyncio.wait_for(reading, 20)
        response.close()
        return text

    text = asyncio.run(story())
    assert "event: ledger" in text
    assert "incident" not in text
    assert "Checkout" not in text


async def _client(role: Role) -> AsyncClient:
    from asgiref.sync import sync_to_async

    client = AsyncClient()
    user: User = await sync_to_async(make_user)("listener", role)
    await client.aforce_login(user, backend=BACKEND)
    return client


async def _read(response: Any, wanted: str) -> str:
    text = ""
    async for part in response.streaming_content:
        text += part.decode()
        if wanted in text:
            return text
    return text


def test_an_open_page_hears_of_a_new_event_about_its_noun_and_of_no_other() -> None:
    async def story() -> str:
        from asgiref.sync import sync_to_async

        client = await _client(Role.VIEWER)
        response = await client.get("/live/events?about=incidents.incident:7")
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        reading = asyncio.ensure_future(_read(response, "incident.noted"))
        await asyncio.sleep(live.POLL_SECONDS * 2)
        await sync_to_async(write)("incident.resolved", "incidents.incident:8")
        await sync_to_async(write)("incident.noted", "incidents.incident:7")
        text = await asyncio.wait_for(reading, 20)
        response.close()
        return text

    text = asyncio.run(story())
    assert "event: hello" in text
    assert "incident.noted" in text
    assert "incident.resolved" not in text


def test_a_database_that_is_away_for_a_while_costs_an_open_page_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    real, away = live.news, threading.Event()

    def news(*given: Any) -> list[live.Happening]:
        if away.is_set():
            raise OperationalError("the connection is closed")
        return real(*given)

    monkeypatch.setattr(live, "news", news)

    async def story() -> str:
        from asgiref.sync import sync_to_async

        client = await _client(Role.VIEWER)
        response = await client.get("/live/events")
        reading = asyncio.ensure_future(_read(response, "incident.noted"))
        await asyncio.sleep(live.POLL_SECONDS * 2)
        away.set()
        await asyncio.sleep(live.POLL_SECONDS * 2)
        await sync_to_async(write)("incident.noted", "incidents.incident:7")
        away.clear()
        text = await asyncio.wait_for(reading, 20)
        response.close()
        return text

    assert "incident.noted" in asyncio.run(story())


def test_a_stream_outlives_a_database_that_cannot_say_who_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ASK_AGAIN_SECONDS", 0.3)
    asked = threading.Event()

    def away(_request: Any) -> Any:
        asked.set()
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(live, "get_user", away)

    async def story() -> str:
        from asgiref.sync import sync_to_async

        client = await _client(Role.VIEWER)
        response = await client.get("/live/events")
        reading = asyncio.ensure_future(_read(response, "incident.noted"))
        await asyncio.sleep(live.POLL_SECONDS * 2)
        await sync_to_async(write)("incident.noted", "incidents.incident:7")
        text = await asyncio.wait_for(reading, 20)
        response.close()
        return text

    assert "incident.noted" in asyncio.run(story())
    assert asked.is_set()


def test_what_happens_before_the_first_look_is_told_and_what_was_before_the_page_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, looked = live.news, threading.Event()

    def news(*given: Any) -> list[live.Happening]:
        if not looked.is_set():
            looked.set()
            raise OperationalError("the database starts")
        return real(*given)

    monkeypatch.setattr(live, "news", news)

    async def story() -> str:
        from asgiref.sync import sync_to_async

        client = await _client(Role.VIEWER)
        await sync_to_async(write)("incident.opened", "incidents.incident:6")
        response = await client.get("/live/events")
        reading = asyncio.ensure_future(_read(response, "incident.noted"))
        while not looked.is_set():
            await asyncio.sleep(0.01)
        await sync_to_async(write)("incident.noted", "incidents.incident:7")
        text = await asyncio.wait_for(reading, 20)
        response.close()
        return text

    text = asyncio.run(story())
    assert "incident.noted" in text
    assert "incident.opened" not in text


@pytest.mark.parametrize("taken", ["role", "session", "account"])
def test_a_page_hears_nothing_more_once_its_person_may_not_listen(monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    monkeypatch.setattr(live, "ASK_AGAIN_SECONDS", 0.5)

    def take() -> None:
        user = User.objects.get(username="listener")
        if taken == "role":
            people.set_role(actor=system("tests"), user=user, role=None)
        elif taken == "session":
            sessions.end_all(actor=system("tests"), user=user)
        else:
            people.set_active(actor=system("tests"), user=user, active=False)

    async def story() -> str:
        from asgiref.sync import sync_to_async

        await sync_to_async(make_user)("root", Role.ADMIN)
        client = await _client(Role.VIEWER)
        response = await client.get("/live/events")
        reading = asyncio.ensure_future(_read(response, "incident.noted"))
        await asyncio.sleep(live.POLL_SECONDS * 2)
        await sync_to_async(take)()
        await asyncio.sleep(0.6)
        await sync_to_async(write)("incident.noted", "incidents.incident:7")
        return await asyncio.wait_for(reading, 20)  # the stream ends by itself

    text = asyncio.run(story())
    assert "event: hello" in text
    assert "incident.noted" not in text


def test_a_bad_ref_and_a_stranger_are_refused() -> None:
    async def story() -> tuple[int, int]:
        client = await _client(Role.VIEWER)
        bad = await client.get("/live/events?about=nonsense")
        stranger = await AsyncClient().get("/live/events")
        return bad.status_code, stranger.status_code

    assert asyncio.run(story()) == (400, 401)


@pytest.mark.parametrize("ticks", range(4))
def test_a_page_that_goes_in_the_moment_that_news_come_ends_its_stream(
    ticks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "news", lambda _seen: [])
    monkeypatch.setattr(live, "deliveries", lambda _boxes: [])

    async def listen() -> None:
        async for _part in live._stream(system("tests"), "en", "", None):
            pass

    async def leave() -> bool:
        page = asyncio.ensure_future(listen())
        await asyncio.sleep(0.05)
        for queue in live.feed().listeners:
            queue.put_nowait(live.Happening(Event(verb="team.created", subject="core.team:1", pk=1), frozenset()))
        for _tick in range(ticks):
            await asyncio.sleep(0)
        page.cancel()
        await asyncio.wait({page}, timeout=5)
        return page.done()

    assert asyncio.run(leave())
